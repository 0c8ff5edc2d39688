from __future__ import annotations

from uuid import UUID

import pytest

from storage.ids import first_id, new_id, new_secret, new_text_id, parse_id


def test_a_new_id_is_a_real_version_7_uuid() -> None:
    made = new_id()
    assert type(made) is UUID
    assert made.version == 7


def test_ids_made_one_after_the_other_sort_in_that_order() -> None:
    made = [new_id() for _ in range(1_000)]
    assert made == sorted(set(made))


def test_an_id_made_as_text_is_one_of_the_same_kind() -> None:
    made = [str(new_id()), new_text_id(), str(new_id())]
    assert made == sorted(made)
    parsed = parse_id(made[1])
    assert parsed is not None
    assert parsed.version == 7


def test_an_id_is_read_back_from_its_text_in_either_case() -> None:
    made = new_id()
    assert parse_id(str(made)) == made
    assert parse_id(str(made).upper()) == made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not-an-id",
        "{0190163d-8694-739b-aea5-966c26f8ad91}",
        "urn:uuid:0190163d-8694-739b-aea5-966c26f8ad91",
        "0190163d8694739baea5966c26f8ad91",
        "0190163d-8694-739b-aea5-966c26f8ad9g",
        "0190163d-8694-739b-aea5-966c26f8ad91 ",
        "0190163d86-94739b-aea5-966c26f8ad-91",
        "٠190163d-8694-739b-aea5-966c26f8ad91",
    ],
)
def test_other_spellings_are_no_ids(text: str) -> None:
    assert parse_id(text) is None


def test_secrets_are_url_safe_differ_and_have_the_length_asked_for() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(len(secret) == 43 for secret in made)
    assert all(secret.replace("-", "").replace("_", "").isalnum() for secret in made)
    assert len(new_secret(16)) == 22


def test_the_first_id_of_a_moment_parts_earlier_from_later_ids() -> None:
    made = new_id()
    at_ms = made.int >> 80
    assert first_id(at_ms) < made < first_id(at_ms + 1)
