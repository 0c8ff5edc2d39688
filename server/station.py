"""What `demo`, `call` and `answer` share: a user's phone, and telling what happens to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from server.screens import Board, CallScreen, Side, receipt_view
from signalling.client.audio import open_source
from signalling.client.envelope import CommandRefused, Event
from signalling.client.link import PeerStats
from signalling.client.phone import Phone
from signalling.client.rest import Api, ApiError
from signalling.client.view import CallView
from signalling.client.wire import Wire

CALLER_HZ = 440
CALLEE_HZ = 660
VIEW_S = 0.25
SETTLED_S = 5.0


class CallFailed(Exception):
    """The call did not do what it should; the message says what."""


@dataclass(frozen=True)
class Station:
    """A user with an account, a socket and a phone."""

    api: Api
    phone: Phone
    name: str
    user_id: str


@contextlib.asynccontextmanager
async def station(
    api: Api,
    *,
    device: str,
    audio: str = "tone",
    tone_hz: int = CALLER_HZ,
    record: Path | None = None,
) -> AsyncIterator[Station]:
    """The phone of whoever is logged in at `api`, connected."""
    user = await api.me()
    wire = Wire(api.url, api.token, device_id=device, platform="terminal", refresh=api.refresh)
    async with wire:
        phone = Phone(wire, audio=lambda: open_source(audio, tone_hz=tone_hz), record=record)
        async with phone:
            yield Station(api, phone, user.name, user.id)


def narrate(screen: CallScreen, me: Station) -> None:
    """Say every step of the station's call, as it hears of it."""

    def on_change(event: Event) -> None:
        line = told(event)
        if event.type == "welcome" and me.phone.wire.connects > 1:
            line = "on line again"
        if line:
            screen.say(line)

    me.phone.on_change = on_change


def told(event: Event) -> str:
    """One line for an event, or nothing for one that is no news to people."""
    data = event.data
    match event.type:
        case "call_ringing":
            return "ringing"
        case "call_accepted":
            return "answered on another device" if data["elsewhere"] else "answered"
        case "call_connected":
            return "talking again" if data.get("resumed") else "connected: the meter runs"
        case "call_reconnecting":
            return f"interrupted ({data['leg']}, {data['why']}): the meter waits"
        case "call_taken":
            return f"the {data['leg']} goes on with {data['device']}"
        case "call_tick":
            money = f", balance {data['balance']}" if "balance" in data else ""
            low = "" if data["status"] == "ok" else f" ({data['status']})"
            charged = f"{data['charged']} charged, {data['total']} in all"
            return f"unit {data['unit']}: {charged}{money}{low}"
        case "balance_low":
            return f"money for {data['secondsLeft']} s is left"
        case "chat_message":
            return f"chat: {data['message']['text']}"
        case "media_state":
            return f"the other side is {'on hold' if data['hold'] else media_word(data['audio'])}"
        case "call_rejected" | "call_ended":
            return f"ended: {data['reason']} by {data['by']}"
        case _:
            return ""


def media_word(audio: bool) -> str:
    return "heard again" if audio else "muted"


async def keep_showing(
    screen: CallScreen, call: CallView, stations: list[Station], keys: str = ""
) -> None:
    """Renew the view of a call until cancelled."""
    last = [PeerStats() for _ in stations]
    while True:
        for at, each in enumerate(stations):
            if each.phone.peer is not None:
                last[at] = await each.phone.peer.stats()
        sides = [side(each, stats) for each, stats in zip(stations, last, strict=True)]
        screen.show(Board(call, sides, stations[0].phone.wire.now_ms(), keys))
        await asyncio.sleep(VIEW_S)


def side(each: Station, stats: PeerStats) -> Side:
    phone = each.phone
    role = phone.call.role if phone.call is not None else ""
    money = []
    if phone.balance is not None and role == "caller":
        money.append(f"balance {phone.balance}")
    if phone.earnings is not None and role == "callee":
        money.append(f"earnings {phone.earnings}")
    level, hz = (0.0, 0.0) if phone.peer is None else (phone.sink.level(), phone.sink.hz())
    return Side(each.name, role, stats, level, hz, ", ".join(money))


async def earnings(api: Api) -> int:
    """What the user has earned and not been paid out, in minor units."""
    return sum(w.balance for w in await api.wallets() if w.type.startswith("earnings"))


async def print_receipt(console: Console, api: Api, call: CallView, payee: Api | None) -> None:
    """The receipt as the server's books have it; with the shares when the payee is ours too."""
    bill, stored = await api.billing(call.id), await api.call(call.id)
    mine = bill if payee is None else await payee.billing(call.id)
    console.print(receipt_view(bill, stored, earned=mine.get("earned")))


def failed(console: Console, fault: BaseException | str) -> int:
    details = ""
    if isinstance(fault, ApiError | CommandRefused) and fault.details:
        details = "  " + ", ".join(f"{key} {value}" for key, value in fault.details.items())
    console.print(Text(f"failed: {fault}{details}", "bold red"))
    return 1
