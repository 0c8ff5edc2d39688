from __future__ import annotations

import pytest

from rest.http.phones import e164, texting_region


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+2348012345678", "+2348012345678"),
        ("+234 801 234-5678", "+2348012345678"),
        ("00234 (801) 234.5678", "+2348012345678"),
        (" +1 (555) 010-9999 ", "+15550109999"),
        ("+٢٣٤8012345678", "+2348012345678"),
        # Argentina writes a 15 where the international form has a 9.
        ("+54 11 15 1234-5678", "+5491112345678"),
        ("08012345678", None),
        ("2348012345678", None),
        ("+0123456789", None),
        ("+49", None),
        ("+12345", None),
        ("+1234567890123456", None),
        ("+23480x2345678", None),
        ("+2348012345678 ext. 12", None),
        ("phone", None),
        ("'; drop table users; --", None),
        ("+2348012345678" + " " * 40, None),
        ("", None),
    ],
)
def test_without_a_region_only_international_numbers_are_taken(
    text: str, number: str | None
) -> None:
    assert e164(text, None) == number


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("08012345678", "NG", "+2348012345678"),
        ("98765 43210", "IN", "+919876543210"),
        ("090-1234-5678", "JP", "+819012345678"),
        ("0044 7911 123456", "NG", None),
        ("00971 50 123 4567", "IN", "+971501234567"),
        ("011 44 7911 123456", "US", "+447911123456"),
        ("+2348012345678", "JP", "+2348012345678"),
        ("12", "NG", None),
    ],
)
def test_with_a_region_its_own_way_of_dialling_is_understood(
    text: str, region: str, number: str | None
) -> None:
    assert e164(text, region) == number


@pytest.mark.parametrize(
    ("phone", "region"),
    [
        ("+4915112345678", "DE"),
        ("+2348012345678", "NG"),
        ("+12025550123", "US"),
        ("+16135550123", "CA"),
        ("+442079460123", None),
        ("+18005550123", None),
        ("+19005550123", None),
        ("+883510001234", None),
        ("+15550109999", None),
        ("+447700900123", None),
        ("nothing", None),
    ],
)
def test_only_numbers_that_can_get_a_message_have_a_country_for_it(
    phone: str, region: str | None
) -> None:
    assert texting_region(phone) == region
