"""Pages of a list: `limit` and `offset`, or `limit` and `page` (from 1), of a span of time."""

from datetime import MAXYEAR, MINYEAR, datetime
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, field

from rest.http.body import Query
from rest.http.errors import Problem
from signalling.events import Shape

LIMIT_MAX = 100
LIMIT_DEFAULT = 20
OFFSET_MAX = 1_000_000

Limit = Annotated[int, Meta(ge=1, le=LIMIT_MAX)]
Offset = Annotated[int, Meta(ge=0, le=OFFSET_MAX)]
Sort = Literal["newest", "oldest"]
Moment = Annotated[datetime, Meta(tz=True)]
PageNumber = Annotated[int, Meta(ge=1, le=OFFSET_MAX)]


class PageQuery(Query, frozen=True):
    """Give `offset` or `page`, not both. Extend it for filters of your own."""

    CODES: ClassVar[dict[str, str]] = {
        "limit": "INVALID_LIMIT",
        "offset": "INVALID_OFFSET",
        "page": "INVALID_PAGE",
    }

    limit: Limit = LIMIT_DEFAULT
    offset: Offset | None = None
    page: PageNumber | None = None


class SpanQuery(PageQuery, frozen=True):
    """A page of what happened at or after `from` and before `to`, in RFC 3339 with its offset."""

    CODES: ClassVar[dict[str, str]] = {
        **PageQuery.CODES,
        "from": "INVALID_FILTER",
        "to": "INVALID_FILTER",
    }

    since: Moment | None = field(default=None, name="from")
    until: Moment | None = field(default=None, name="to")


class Page(Shape, frozen=True):
    """Base of a list's answer; the list itself is `items` in the shape that extends it."""

    total: int
    limit: int
    offset: int


def first_row(query: PageQuery) -> int:
    """The offset that the query asks for.

    Raises:
        Problem: 400 INVALID_PAGE, both `page` and `offset` were given or the page is too far.
    """
    if query.page is None:
        return query.offset or 0
    start = (query.page - 1) * query.limit
    if query.offset is not None or start > OFFSET_MAX:
        raise Problem(400, "INVALID_PAGE", "Give page or offset, within bounds.", {"field": "page"})
    return start


def span_of(query: SpanQuery) -> tuple[datetime | None, datetime | None]:
    """From when and until when; None is no limit.

    Raises:
        Problem: 400 INVALID_FILTER, the span ends before it begins, or at the edge of all time.
    """
    for name, moment in (("from", query.since), ("to", query.until)):
        # Brought to UTC, the first and the last year may lie outside of what can be counted.
        if moment is not None and not MINYEAR < moment.year < MAXYEAR:
            raise Problem(400, "INVALID_FILTER", "That is no moment of ours.", {"field": name})
    if query.since is not None and query.until is not None and query.until < query.since:
        raise Problem(400, "INVALID_FILTER", "to is before from.", {"field": "to"})
    return query.since, query.until
