"""Shapes of the routes about webhooks."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType, field

from rest.http.body import Body
from rest.http.pages import Page, PageQuery
from rest.operators.webhook_events import EventType
from signalling.events import Shape
from storage.webhook_deliveries import Status

Url = Annotated[str, Meta(min_length=8, max_length=2_048)]
# Without any all of them are meant.
Events = Annotated[list[EventType], Meta(max_length=5)]


class EndpointBody(Body, frozen=True):
    url: Url
    events: Events = field(default_factory=list)
    disabled: bool = False


class EndpointChange(Body, frozen=True):
    url: Url | UnsetType = UNSET
    events: Events | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class EndpointView(Shape, frozen=True):
    """`disabledBy` is `operator`, or `gone` when the endpoint answered 410. Until `oldSecretUntil`
    deliveries carry a signature with the secret before this one as well."""

    id: UUID
    url: str
    events: list[str]
    disabled: bool
    disabled_by: Literal["operator", "gone"] | None
    old_secret_until: datetime | None
    created_at: datetime


class EndpointAnswer(Shape, frozen=True):
    endpoint: EndpointView


class EndpointSecret(Shape, frozen=True):
    """The secret is shown this once."""

    endpoint: EndpointView
    secret: str


class EndpointList(Shape, frozen=True):
    items: list[EndpointView]


class DeliveryQuery(PageQuery, frozen=True):
    CODES: ClassVar[dict[str, str]] = {
        **PageQuery.CODES,
        "endpointId": "INVALID_FILTER",
        "status": "INVALID_FILTER",
        "callId": "INVALID_FILTER",
    }

    endpoint_id: UUID | None = None
    status: Status | None = None
    call_id: UUID | None = None


class DeliveryView(Shape, frozen=True):
    """`tries` counts since it was made or last resent; `dueAt` is the next try of one that waits.
    `eventId` is what the receiver gets as `webhook-id`, each time the same."""

    id: UUID
    endpoint_id: UUID
    event_id: UUID
    type: str
    call_id: UUID | None
    status: Status
    tries: int
    created_at: datetime
    due_at: datetime | None
    done_at: datetime | None


class DeliveryList(Page, frozen=True):
    """`total` counts up to 100 000."""

    items: list[DeliveryView]


class AttemptView(Shape, frozen=True):
    """`status` is null when there was no answer; `answer` is the first 1 KiB of a refusal."""

    at: datetime
    took_ms: int
    status: int | None
    error: str | None
    answer: str | None


class DeliveryDetail(DeliveryView, frozen=True):
    """`body` is the text that is sent."""

    body: str
    attempts: list[AttemptView]


class DeliveryAnswer(Shape, frozen=True):
    delivery: DeliveryDetail


class DeliveryMade(Shape, frozen=True):
    delivery_id: UUID
