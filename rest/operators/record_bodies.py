"""Shapes of the routes about what operators did, and about the nodes."""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

from msgspec import Meta

from rest.http.pages import Page, PageQuery
from rest.operators.people_bodies import SOMEBODY
from signalling.events import Shape


class AuditQuery(PageQuery, frozen=True):
    """`action` as the lines spell it: `user.suspend`."""

    CODES: ClassVar[dict[str, str]] = {
        **PageQuery.CODES,
        "actor": "INVALID_FILTER",
        "action": "INVALID_FILTER",
        "targetId": "INVALID_FILTER",
    }

    actor: UUID | None = None
    action: Annotated[str, Meta(pattern=r"^[a-z][a-z_.]{0,39}$")] | None = None
    target_id: UUID | None = None


class AuditLine(Shape, frozen=True):
    """`details` depend on the action."""

    id: int
    at: datetime
    actor: UUID
    actor_name: str
    action: str
    target_type: str
    target_id: UUID
    reason: str
    details: dict[str, Any] | None


class AuditLines(Page, frozen=True):
    """`total` counts to 10,000."""

    items: list[AuditLine]


class NodeView(Shape, frozen=True):
    """One life of a server process. `alive`: it tells of itself and may own calls. `leftAt` is
    when it ended in order; a `fenced` one without is dead. `calls` are those it owns."""

    epoch: int
    name: str
    started_at: datetime
    beat_at: datetime
    alive: bool
    fenced: bool
    left_at: datetime | None
    calls: int


class NodeList(Page, frozen=True):
    items: list[NodeView]


_AT = datetime(2026, 1, 5, 12, tzinfo=UTC)
AUDIT_EXAMPLE = AuditLines(
    items=[
        AuditLine(
            id=42,
            at=_AT,
            actor=UUID("0198f2a0-0000-7000-8000-000000000005"),
            actor_name="Ada",
            action="user.suspend",
            target_type="user",
            target_id=SOMEBODY,
            reason="Reported by several callers.",
            details={"sessionsEnded": 2},
        )
    ],
    total=1,
    limit=20,
    offset=0,
)
NODES_EXAMPLE = NodeList(
    items=[
        NodeView(
            epoch=7,
            name="main",
            started_at=_AT,
            beat_at=_AT,
            alive=True,
            fenced=False,
            left_at=None,
            calls=3,
        )
    ],
    total=1,
    limit=20,
    offset=0,
)
