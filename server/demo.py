"""`talktime demo`: a whole call between two phones of our own, with real media."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from pathlib import Path

from rich.console import Console

from server.demo_accounts import CALLER_MAIL, DEMO_PASSWORD, DEMO_PRICE_MINOR, PROVIDER_MAIL
from server.screens import CallScreen
from server.station import (
    CALLEE_HZ,
    CALLER_HZ,
    SETTLED_S,
    CallFailed,
    Station,
    earnings,
    failed,
    keep_showing,
    narrate,
    print_receipt,
    station,
)
from signalling.client.envelope import CommandRefused, WireStopped
from signalling.client.phone import Phone
from signalling.client.rest import Api, ApiError
from signalling.client.view import CallView

RING_S = 1.0
ANSWER_S = 30.0
# What a tone sounds like after Opus; a wrong or missing tone is far outside.
PITCH_TOLERANCE = 0.05


async def demo(
    url: str,
    *,
    seconds: int = 70,
    plain: bool = False,
    price: int | None = None,
    balance: int | None = None,
    tariff: str = "minute",
    record: Path | None = None,
    console: Console | None = None,
) -> int:
    """Place a whole call between two phones of our own and show it. Returns the exit code.

    Without `price` and `balance` (minor units) the demo accounts of the server's dev mode talk to
    each other; with either, two throw-away accounts are made with exactly those figures. The call
    ends after `seconds` of talk, or earlier when the money does. `record` keeps what the caller
    hears.
    """
    console = console or Console()
    try:
        async with Api(url) as caller_api, Api(url) as callee_api:
            if price is None and balance is None:
                await use_demo_accounts(caller_api, callee_api, seconds)
            else:
                await make_accounts(
                    caller_api,
                    callee_api,
                    price=DEMO_PRICE_MINOR if price is None else price,
                    balance=1_000 if balance is None else balance,
                    tariff=tariff,
                )
            async with (
                station(caller_api, device="demo-caller", record=record) as caller,
                station(callee_api, device="demo-callee", tone_hz=CALLEE_HZ) as callee,
            ):
                await play(caller, callee, seconds=seconds, plain=plain, console=console)
    except (ApiError, CommandRefused, CallFailed, WireStopped, ConnectionError) as fault:
        return failed(console, fault)
    except TimeoutError:
        return failed(console, "The server did not do the next step in time.")
    return 0


async def use_demo_accounts(caller: Api, callee: Api, seconds: int) -> None:
    await caller.login(CALLER_MAIL, DEMO_PASSWORD)
    await callee.login(PROVIDER_MAIL, DEMO_PASSWORD)
    needed = DEMO_PRICE_MINOR * (seconds // 60 + 2)
    available = (await caller.balance()).available
    if available < needed:
        await caller.top_up(needed - available)


async def make_accounts(caller: Api, callee: Api, *, price: int, balance: int, tariff: str) -> None:
    """A customer with exactly `balance`, paid through the sandbox, and a provider at `price`."""
    mark = secrets.token_hex(4)
    password = secrets.token_urlsafe(16)
    await caller.signup(f"Mia {mark}", f"mia-{mark}@demo.talktime", password)
    await callee.signup(f"Kai {mark}", f"kai-{mark}@demo.talktime", password)
    await callee.save_profile(displayName=f"Kai {mark}", pricePerMinute=price, tariff=tariff)
    if balance:
        await caller.top_up(balance)


async def play(
    caller: Station, callee: Station, *, seconds: int, plain: bool, console: Console
) -> None:
    """The call itself, from ring to receipt.

    Raises:
        CallFailed: it never connected, broke off, or the sound that arrived is not what was sent.
    """
    await callee.phone.wire.command("presence_set", presence="online")
    before = await caller.api.balance()
    earned_before = await earnings(callee.api)
    with CallScreen(console, plain=plain) as screen:
        screen.say(f"{caller.name} has {before.available} {before.currency}, calls {callee.name}")
        narrate(screen, caller)
        call = await caller.phone.place(callee.user_id)
        viewer = asyncio.create_task(keep_showing(screen, call, [caller, callee]))
        try:
            await answered(caller, callee, call)
            heard = await talk(screen, caller, callee, call, seconds)
        finally:
            viewer.cancel()
            await asyncio.gather(viewer, return_exceptions=True)
            if not call.over:  # Ctrl-C, or a failure: nobody shall go on paying.
                with contextlib.suppress(CommandRefused, WireStopped, TimeoutError):
                    async with asyncio.timeout(SETTLED_S):
                        await caller.phone.hang_up()
        await callee.phone.until(lambda: is_over(callee.phone), SETTLED_S)
    await print_receipt(console, caller.api, call, callee.api)
    after = await caller.api.balance()
    earned = await earnings(callee.api) - earned_before
    console.print(
        f"{caller.name}: {before.balance} → {after.balance} {after.currency}, "
        f"{callee.name}: +{earned} {after.currency}"
    )
    if before.balance - after.balance != call.final["total"]:
        raise CallFailed("The wallet and the receipt do not agree.")
    if not heard:
        raise CallFailed("The sound that arrived is not the sound that was sent.")


def is_over(phone: Phone) -> bool:
    return phone.call is not None and phone.call.over


async def answered(caller: Station, callee: Station, call: CallView) -> None:
    """Let it ring for a moment, answer, and wait until sound flows both ways."""
    await caller.phone.until(lambda: call.state == "ringing" or call.over, ANSWER_S)
    if call.over:
        raise CallFailed(f"The call ended: {call.reason} by {call.by}.")
    await asyncio.sleep(RING_S)
    await callee.phone.accept()
    await caller.phone.until(lambda: call.state == "connected" or call.over, ANSWER_S)
    if call.over:
        raise CallFailed(f"The call ended before it connected: {call.reason} by {call.by}.")


async def talk(
    screen: CallScreen, caller: Station, callee: Station, call: CallView, seconds: int
) -> bool:
    """Talk for `seconds` or as long as the money lasts; whether each side heard the other."""
    assert call.connected_at is not None
    until_ms = call.connected_at + seconds * 1_000
    left_s = (until_ms - caller.phone.wire.now_ms()) / 1_000
    heard = False
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(left_s / 2):
            await caller.phone.until(lambda: call.over)
    heard = hears(caller.phone, CALLEE_HZ) and hears(callee.phone, CALLER_HZ)
    left_s = (until_ms - caller.phone.wire.now_ms()) / 1_000
    with contextlib.suppress(TimeoutError):
        await caller.phone.until(lambda: call.over, max(0.0, left_s))
    if not call.over:
        await caller.phone.hang_up()
        await caller.phone.until(lambda: call.over, SETTLED_S)
    if call.reason not in ("hangup", "balance_exhausted"):
        raise CallFailed(f"The call broke off: {call.reason} by {call.by}.")
    return heard


def hears(phone: Phone, hz: int) -> bool:
    return abs(phone.sink.hz() - hz) < hz * PITCH_TOLERANCE
