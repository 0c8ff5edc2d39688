"""Shapes of the operators' routes."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from rest.http.body import Body
from rest.http.pages import Page
from signalling.events import Shape


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


class RetryBody(Body, frozen=True):
    """Without a `name` jobs of all names are meant."""

    name: Annotated[str, Meta(min_length=1, max_length=100)] | None = None


class Retried(Shape, frozen=True):
    """How many jobs went back to the queue; ask again when it was 1000."""

    retried: int
