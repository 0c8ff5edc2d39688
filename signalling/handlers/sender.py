"""Who sends a command about a call: a device here or on another node."""

from typing import Protocol
from uuid import UUID

from signalling.codes import Refused
from signalling.events import Shape


class Sender(Protocol):
    """`ok` and `fail` answer the command `re`, or with None one that had no id."""

    @property
    def user_id(self) -> UUID: ...

    @property
    def id(self) -> str: ...

    def ok(self, re: str | None, data: Shape) -> None: ...

    def fail(self, re: str | None, refused: Refused) -> None: ...
