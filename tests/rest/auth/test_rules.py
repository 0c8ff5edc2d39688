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
    ("given", "role"),
    [
        (None, None),
        ("companion", "companion"),
        ("STORE_OWNER", "store_owner"),
        (" Delivery_Partner ", "delivery_partner"),
        ("technician", "technician"),
        ("customer", "customer"),
    ],
)
def test_a_new_account_may_have_one_of_the_open_roles(given: str | None, role: str | None) -> None:
    assert rules.check_role(given) == role


@pytest.mark.parametrize("given", ["admin", "ADMIN", " admin ", "", "provider", "customer,admin"])
def test_nobody_makes_themselves_an_admin(given: str) -> None:
    with pytest.raises(Problem) as refused:
        rules.check_role(given)
    assert (refused.value.code, refused.value.details) == ("INVALID_ROLE", {"field": "role"})


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
