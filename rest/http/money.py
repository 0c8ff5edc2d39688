"""Amounts as people read them."""


def spell(amount_minor: int, currency: str, exponent: int) -> str:
    """`1,234.50 EUR`; the smallest unit of the currency is the `exponent`th decimal place."""
    whole, part = divmod(amount_minor, 10**exponent)
    fraction = f".{part:0{exponent}d}" if exponent else ""
    return f"{whole:,}{fraction} {currency}"
