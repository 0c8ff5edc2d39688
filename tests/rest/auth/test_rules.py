from __future__ import annotations

import pytest

from rest.auth import rules
from rest.http.errors import Problem


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("ann@example.org", "ann@example.org"),
        (" Ann.Lee+talk@Mail.Example.CO.UK ", "ann.lee+talk@mail.example.co.uk"),
        ("o'brien@example.org", "o'brien@example.org"),
        ("用户@例子.公司", "用户@例子.公司"),
    ],
)
def test_email_addresses_are_brought_to_one_spelling(given: str, clean: str) -> None:
    assert rules.clean_email(given) == clean


@pytest.mark.parametrize(
    "given",
    [
        "", "@", "a@", "@b.org", "a@b", "a@.org", "a@b.", "a@b.o", "a@-b.org", "a@b-.org",
        "a@b.org\n@c.org", "a@b.org,c@d.org", "<a@b.org>", "a@b.o_g", 'a"@b.org', "a@[1.2.3.4]",
        f"{'a' * 65}@b.org", "a@" + "b." * 200 + "org",
    ],
)  # fmt: skip
def test_what_is_no_email_address_is_refused(given: str) -> None:
    with pytest.raises(Problem) as refused:
        rules.clean_email(given)
    assert refused.value.code == "INVALID_EMAIL"


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("+4915112345678", "+4915112345678"),
        ("+1 (555) 010-9999", "+15550109999"),
        ("015112345678", None),
        ("+0123456789", None),
        ("+49", None),
        ("+12345678901234567", None),
        ("phone", None),
    ],
)
def test_phone_numbers_are_international(given: str, clean: str | None) -> None:
    assert rules.clean_phone(given) == clean


def test_a_name_is_given_whole_or_in_two_parts() -> None:
    assert rules.clean_name(" Ann ", "ignored", "too") == "Ann"
    assert rules.clean_name(None, "Ann", " Lee") == "Ann Lee"
    assert rules.clean_name(None, None, "Lee") == "Lee"
    assert len(rules.clean_name(None, "x" * 24, "y" * 25)) == 50


@pytest.mark.parametrize("parts", [(None, None), ("", ""), ("x" * 25, "y" * 25)])
def test_two_parts_that_make_no_name_are_refused(parts: tuple[str | None, str | None]) -> None:
    with pytest.raises(Problem) as refused:
        rules.clean_name(None, *parts)
    assert refused.value.code == "INVALID_NAME"


@pytest.mark.parametrize("length", [8, 72])
def test_passwords_at_the_bounds_are_taken(length: int) -> None:
    assert rules.check_password("é" * length) == "é" * length
