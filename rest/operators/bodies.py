"""Shapes of the operators' routes."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from rest.http.body import Body
from rest.http.pages import Page, PageQuery
from signalling.events import Shape

State = Literal["waiting", "active", "delayed", "failed"]
Name = Annotated[str, Meta(min_length=1, max_length=100)]


class JobCounts(Shape, frozen=True):
    """Jobs of one name by their state. `oldestSeconds` is how long the first of those that are due
    has been waiting."""

    name: str
    waiting: int
    delayed: int
    active: int
    failed: int
    oldest_seconds: float


class JobOverview(Shape, frozen=True):
    jobs: list[JobCounts]


class FailedJobView(Shape, frozen=True):
    """A job that was given up after `tries`; its payload is not shown."""

    id: int
    name: str
    tries: int
    error: str
    promised_at: datetime
    failed_at: datetime


class FailedJobs(Page, frozen=True):
    items: list[FailedJobView]


class JobsQuery(PageQuery, frozen=True):
    """Of one `state` or `name`; without them jobs of all are meant."""

    CODES: ClassVar[dict[str, str]] = {
        **PageQuery.CODES,
        "state": "INVALID_FILTER",
        "name": "INVALID_FILTER",
    }

    state: State | None = None
    name: Name | None = None


class JobView(Shape, frozen=True):
    """A job that is not done. `waiting` ones are due, `delayed` ones will be at `dueAt`. `tries`
    are those that are over; `error` is what the last one of a failed job said, null otherwise. Its
    payload is not shown: it may hold data of people."""

    id: int
    name: str
    state: State
    tries: int
    error: str | None
    promised_at: datetime
    due_at: datetime


class JobList(Page, frozen=True):
    items: list[JobView]


class RetryBody(Body, frozen=True):
    """Without a `name` jobs of all names are meant."""

    name: Name | None = None


class Retried(Shape, frozen=True):
    """How many jobs went back to the queue; ask again when it was 1000."""

    retried: int
