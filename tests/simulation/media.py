"""What media really flows between the legs of one call."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.phone import Phone

BYTES_PER_MS = 8


class Media:
    """Flows while a device of each side has it set up, both have a network, and nothing is broken.

    `flowed_ms` is all the time that it did, `stops` how often it ceased.
    """

    def __init__(self, now_ms: int) -> None:
        self.legs: dict[str, Phone] = {}
        self.broken = False
        self.stops = 0
        self._since_ms: int | None = None
        self._flowed_ms = 0
        self._now_ms = now_ms

    @property
    def flowing(self) -> bool:
        return self._since_ms is not None

    def flowed_ms(self, now_ms: int) -> int:
        if self._since_ms is None:
            return self._flowed_ms
        return self._flowed_ms + now_ms - self._since_ms

    def join(self, role: str, phone: "Phone", now_ms: int) -> None:
        self.legs[role] = phone
        self.look(now_ms)

    def leave(self, role: str, phone: "Phone", now_ms: int) -> None:
        if self.legs.get(role) is phone:
            del self.legs[role]
            self.look(now_ms)

    def look(self, now_ms: int) -> None:
        """Something has changed that it depends on."""
        flows = (
            len(self.legs) == 2
            and not self.broken
            and all(phone.online for phone in self.legs.values())
        )
        if flows == self.flowing:
            return
        self._flowed_ms = self.flowed_ms(now_ms)
        self._since_ms = now_ms if flows else None
        if not flows:
            self.stops += 1
        for phone in list(self.legs.values()):
            phone.app.media_changed(flows)
