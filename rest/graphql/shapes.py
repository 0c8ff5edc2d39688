"""The types of the schema, and how they are made from what storage reads."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite
from typing import NewType

import msgspec
import strawberry

from rest.graphql.desk import Sample
from storage import calls, jobs, live_calls, nodes

# GraphQL's own Int has 32 bits; amounts and moments have more.
Long = NewType("Long", int)
LONG = strawberry.scalar(
    name="Long",
    description="An integer of up to 64 bits.",
    serialize=int,
    parse_value=int,
)

JobState = jobs.JobState
strawberry.enum(JobState)  # Tells the schema of it; the class stays what it is.


@strawberry.type(description="Jobs of one name, by their state.")
class Queue:
    name: str
    waiting: int
    delayed: int
    active: int
    failed: int
    oldest_seconds: float = strawberry.field(
        description="How long the first of those that are due has been waiting."
    )


@strawberry.type(description="A job that is not done; its payload is not shown.")
class Job:
    id: strawberry.ID
    name: str
    state: JobState
    tries: int
    error: str | None = strawberry.field(description="What the last try of a failed job said.")
    promised_at: datetime
    due_at: datetime
    changed_at: datetime


@strawberry.type
class JobPage:
    items: list[Job]
    total: int
    limit: int
    offset: int


@strawberry.type
class Label:
    name: str
    value: str


@strawberry.type(description="One figure of the node that answers, as at /metrics.")
class Counter:
    name: str
    labels: list[Label]
    value: float | None = strawberry.field(description="Null when it is no number.")


@strawberry.type
class CounterPage:
    items: list[Counter]
    total: int
    limit: int
    offset: int


@strawberry.type
class Party:
    id: strawberry.ID
    name: str
    status: str


@strawberry.type(description="A call. Amounts are in the currency's smallest unit.")
class Call:
    id: strawberry.ID
    node: str | None = strawberry.field(description="Which node runs it; null when it is over.")
    caller: Party
    callee: Party
    kind: str
    state: str
    reason: str | None
    ended_by: str | None
    tariff: str | None = strawberry.field(description="Its name.")
    currency: str | None
    created_at: datetime
    ringing_at: datetime | None
    accepted_at: datetime | None
    connected_at: datetime | None
    ended_at: datetime | None
    talk_ms: Long
    billable_ms: Long
    units: Long
    charged_minor: Long
    earned_minor: Long
    hold_minor: Long
    refunded_minor: Long


@strawberry.type
class CallPage:
    items: list[Call]
    total: int
    limit: int
    offset: int


@strawberry.type(description="One life of a node: live, left (ended in order) or fenced.")
class Node:
    name: str
    epoch: Long
    state: str
    started_at: datetime
    beat_age_seconds: float
    calls: int


def queue_of(counts: jobs.Counts) -> Queue:
    return Queue(
        name=counts.name,
        waiting=counts.waiting,
        delayed=counts.delayed,
        active=counts.active,
        failed=counts.failed,
        oldest_seconds=round(counts.oldest_s, 3),
    )


def job_of(row: jobs.JobRow) -> Job:
    return Job(
        id=strawberry.ID(str(row.id)),
        name=row.name,
        state=row.state,
        tries=row.tries,
        error=row.error,
        promised_at=row.promised_at,
        due_at=row.due_at,
        changed_at=row.changed_at,
    )


def counter_of(sample: Sample) -> Counter:
    labels = [Label(name=name, value=value) for name, value in sample.labels.items()]
    value = sample.value if isfinite(sample.value) else None
    return Counter(name=sample.name, labels=labels, value=value)


def node_of(life: nodes.Life) -> Node:
    return Node(
        name=life.name,
        epoch=Long(life.epoch),
        state=life.state,
        started_at=life.started_at,
        beat_age_seconds=round(life.beat_age_s, 3),
        calls=life.calls,
    )


def call_of(found: live_calls.OwnedCall) -> Call:
    row = found.call
    tariff: dict[str, object] = msgspec.json.decode(row.tariff)
    return Call(
        id=strawberry.ID(str(row.call_id)),
        node=found.node,
        caller=_party(row.caller),
        callee=_party(row.callee),
        kind=row.kind,
        state=row.state,
        reason=row.reason,
        ended_by=row.ended_by,
        tariff=_text(tariff.get("name")),
        currency=_text(tariff.get("currency")),
        created_at=_at(row.created_ms),
        ringing_at=_maybe(row.ringing_ms),
        accepted_at=_maybe(row.accepted_ms),
        connected_at=_maybe(row.connected_ms),
        ended_at=_maybe(row.ended_ms),
        talk_ms=Long(row.talk_ms),
        billable_ms=Long(row.billable_ms),
        units=Long(row.units),
        charged_minor=Long(row.charged_minor),
        earned_minor=Long(row.earned_minor),
        hold_minor=Long(row.hold_minor),
        refunded_minor=Long(row.refunded_minor),
    )


def _party(person: calls.Person) -> Party:
    return Party(id=strawberry.ID(str(person.user_id)), name=person.name, status=person.status)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _maybe(ms: int | None) -> datetime | None:
    return None if ms is None else _at(ms)
