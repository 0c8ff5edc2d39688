from __future__ import annotations

import msgspec
import pytest

from rest.http.errors import Problem
from rest.http.pages import PageQuery, SpanQuery, first_row, span_of


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


def span(**given: str) -> SpanQuery:
    return msgspec.convert(given, SpanQuery, strict=False)


def test_a_span_has_two_open_ends() -> None:
    query = span(**{"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T01:00:00+01:00"})

    since, until = span_of(query)

    assert since == until
    assert span_of(span()) == (None, None)


@pytest.mark.parametrize(
    ("since", "until", "field"),
    [
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", "to"),
        ("0001-01-01T00:00:00+23:59", "2026-01-01T00:00:00Z", "from"),
        ("2026-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "to"),
    ],
)
def test_a_span_that_is_none_is_refused(since: str, until: str, field: str) -> None:
    with pytest.raises(Problem) as refused:
        span_of(span(**{"from": since, "to": until}))
    assert (refused.value.code, refused.value.details) == ("INVALID_FILTER", {"field": field})


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00", "2026-01-01", "yesterday", ""])
def test_a_moment_has_a_date_a_time_and_an_offset(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        span(**{"from": text})
