"""What the searches of operators share: how far they look, and the conditions of what is asked."""

from __future__ import annotations

from typing import Any

# More are not counted.
FOUND_MAX = 10_000


def where(first: int, **wanted: Any) -> tuple[str, list[Any]]:
    """The clause that has every column be what is wanted of it, and the values of its parameters.

    Columns that are None are not asked for. `first` is the number of the first parameter; names are
    the caller's own, never a client's.
    """
    given = {name: value for name, value in wanted.items() if value is not None}
    conditions = [f"{name} = ${place}" for place, name in enumerate(given, start=first)]
    return f"where {' and '.join(conditions)}" if conditions else "", list(given.values())
