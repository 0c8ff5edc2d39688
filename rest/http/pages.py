"""Pages of a list: `limit` and `offset`, or `limit` and `page` (from 1)."""

from typing import Annotated, ClassVar

from msgspec import Meta

from rest.http.body import Query
from rest.http.errors import Problem
from signalling.events import Shape

LIMIT_MAX = 100
LIMIT_DEFAULT = 20
OFFSET_MAX = 1_000_000

Limit = Annotated[int, Meta(ge=1, le=LIMIT_MAX)]
Offset = Annotated[int, Meta(ge=0, le=OFFSET_MAX)]
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
