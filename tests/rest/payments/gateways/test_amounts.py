from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest.payments.gateways.amounts import MONNIFY, STRIPE, to_major, to_minor


@pytest.mark.parametrize(
    ("text", "exponent", "minor"),
    [
        ("4500.50", 2, 450_050),
        ("4500.5", 2, 450_050),
        ('"4500.50"', 2, 450_050),
        ("78000", 2, 7_800_000),
        ("78000", 0, 78_000),
        ("78000.000", 0, 78_000),
        ("0", 2, 0),
        ("0.07", 2, 7),
        # As a float it would be 90071992547409.92 and one unit less.
        ("9007199254740.93", 2, 900_719_925_474_093),
    ],
)
def test_an_amount_in_major_units_becomes_smallest_units(
    text: str, exponent: int, minor: int
) -> None:
    assert to_minor(msgspec.Raw(text.encode()), exponent) == minor


@pytest.mark.parametrize(
    "text",
    [
        "4500.505", '"4500.505"', "-1", "+1", ".5", "5.", "1e3", '"1e3"', '"NaN"', '"Infinity"',
        "true", "null", "[]", '""', '" 1"', '"1_000"', '"1,000.00"', '"\u0661"', '"1', "0x10",
        "99999999999999", "0.000000001",
    ],
)  # fmt: skip
def test_what_is_no_plain_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        to_minor(msgspec.Raw(text.encode()), 2)


@given(st.integers(0, 10**12), st.integers(0, 4))
def test_an_amount_survives_the_way_there_and_back(minor: int, exponent: int) -> None:
    encoder = msgspec.json.Encoder(decimal_format="number")
    raw = encoder.encode(to_major(minor, exponent))
    assert b"E" not in raw
    assert to_minor(msgspec.Raw(raw), exponent) == minor


def test_the_currencies_have_the_decimals_of_the_gateways() -> None:
    assert [STRIPE[each] for each in ("JPY", "KRW", "EUR", "USD", "NGN")] == [0, 0, 2, 2, 2]
    assert not {"PTS", "ISK", "UGX", "KWD"} & set(STRIPE)
    assert dict(MONNIFY) == {"NGN": 2}
