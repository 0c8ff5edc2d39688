from __future__ import annotations

import pytest

from rest.http.errors import Problem
from rest.http.pages import PageQuery, first_row


@pytest.mark.parametrize(
    ("query", "row"),
    [
        (PageQuery(), 0),
        (PageQuery(offset=7), 7),
        (PageQuery(page=1), 0),
        (PageQuery(limit=50, page=3), 100),
    ],
)
def test_pages_and_offsets_name_the_first_row(query: PageQuery, row: int) -> None:
    assert first_row(query) == row


@pytest.mark.parametrize("query", [PageQuery(page=1, offset=0), PageQuery(page=1_000_000)])
def test_both_at_once_and_pages_beyond_the_bound_are_refused(query: PageQuery) -> None:
    with pytest.raises(Problem) as refused:
        first_row(query)
    assert refused.value.code == "INVALID_PAGE"
