"""A call as an app sees it, kept up to date by snapshots and events. No I/O."""

from dataclasses import dataclass, field

from signalling.client.envelope import Json


@dataclass
class CallView:
    """A call as this device sees it. Times in Unix ms of the server, amounts in minor units."""

    id: str
    role: str
    state: str = "requested"
    you: str = "active"
    rev: int = 0
    peer_id: str = ""
    peer_name: str = ""
    tariff: Json = field(default_factory=dict)
    expires_at: int | None = None
    connected_at: int | None = None
    ticks: list[Json] = field(default_factory=list)
    total: int = 0
    units: int = 0
    funded_until: int | None = None
    warnings: list[Json] = field(default_factory=list)
    chat: list[Json] = field(default_factory=list)
    peer_media: Json = field(default_factory=dict)
    muted: bool = False
    held: bool = False
    reason: str | None = None
    by: str | None = None
    final: Json = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return self.state == "ended"

    @property
    def can_take(self) -> bool:
        """Whether this device may take the call over from another one of its user."""
        return not self.over and self.you == "canTake"

    @property
    def live(self) -> bool:
        """Whether this device takes part, or may still answer."""
        return not self.over and self.you in ("active", "ringing")

    def apply(self, snapshot: Json) -> None:
        """Take a snapshot over, unless events have already told more. What is read from the books
        after the end has no revision."""
        read = snapshot["rev"] == 0 and snapshot["state"] == "ended"
        if snapshot["rev"] < self.rev and not read:
            return
        self.rev, self.state, self.role = snapshot["rev"], snapshot["state"], snapshot["role"]
        self.you = snapshot["you"]
        self.peer_id, self.peer_name = snapshot["peer"]["userId"], snapshot["peer"]["name"]
        self.tariff = snapshot["tariff"]
        self.expires_at, self.connected_at = snapshot["expiresAt"], snapshot["connectedAt"]
        self.reason, self.by = snapshot["reason"], snapshot["by"]
        self.final = snapshot.get("final") or self.final
        self.meter(snapshot.get("meter") or {})

    def update(self, kind: str, data: Json) -> None:
        """Take over what the event of type `kind` tells."""
        match kind:
            case "call_ringing":
                self.state, self.expires_at = "ringing", data["expiresAt"]
            case "call_accepted":
                self.state, self.expires_at = "accepted", data["expiresAt"]
                if data["elsewhere"]:
                    self.you = "elsewhere"
                elif self.role == "callee":
                    self.you = "active"
            case "call_connected":
                self.state, self.connected_at = "connected", data["connectedAt"]
                if self.you == "canTake":
                    self.you = "elsewhere"
                self.meter(data["meter"])
            case "call_reconnecting":
                self.state, self.expires_at = "reconnecting", data["expiresAt"]
                if self.you == "elsewhere" and data["leg"] == self.role:
                    self.you = "canTake"
            case "call_tick":
                self.ticks.append(data)
                self.total, self.units = data["total"], data["unit"]
                self.funded_until = data["fundedUntil"]
            case "balance_low":
                self.warnings.append(data)
            case "media_state":
                self.peer_media = data
            case "chat_message":
                self.chat.append(data["message"])
            case "call_rejected" | "call_ended":
                self.state, self.reason, self.by = "ended", data["reason"], data["by"]
                self.final = data["final"]
                self.total = self.final.get("total", self.total)
                self.units = self.final.get("units", self.units)

    def meter(self, meter: Json) -> None:
        self.units = meter.get("units", self.units)
        self.total = meter.get("charged", self.total)
        self.funded_until = meter.get("fundedUntil", self.funded_until)
