import pytest

from rest.http.money import spell


@pytest.mark.parametrize(
    ("amount_minor", "exponent", "text"),
    [
        (0, 0, "0 PTS"),
        (480, 0, "480 PTS"),
        (1_234_567, 0, "1,234,567 PTS"),
        (5, 2, "0.05 PTS"),
        (123_450, 2, "1,234.50 PTS"),
        (1_000, 3, "1.000 PTS"),
    ],
)
def test_amounts_have_the_currency_s_decimals(amount_minor: int, exponent: int, text: str) -> None:
    assert spell(amount_minor, "PTS", exponent) == text
