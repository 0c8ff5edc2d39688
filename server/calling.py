"""`talktime call` and `talktime answer`: the two halves of a call from two terminals."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from uuid import UUID

from rich.console import Console

from server.demo_accounts import CALLER_MAIL, DEMO_PASSWORD, PROVIDER_MAIL
from server.keys import Keys
from server.screens import CallScreen
from server.station import (
    CALLEE_HZ,
    SETTLED_S,
    CallFailed,
    Station,
    failed,
    keep_showing,
    narrate,
    print_receipt,
    station,
)
from signalling.client.audio import open_source
from signalling.client.envelope import CommandRefused, WireStopped
from signalling.client.rest import Api, ApiError
from signalling.client.view import CallView

FAULTS = (
    ApiError,
    CallFailed,
    CommandRefused,
    ConnectionError,
    TimeoutError,
    ValueError,
    WireStopped,
)
KEYS_HELP = "h hang up · m mute · o hold · c chat"


async def call_user(
    url: str,
    user: str,
    *,
    email: str = CALLER_MAIL,
    password: str = DEMO_PASSWORD,
    audio: str = "tone",
    record: Path | None = None,
    seconds: int | None = None,
    plain: bool = False,
    console: Console | None = None,
) -> int:
    """Ring `user` (a provider's name or a user id) and talk. Returns the exit code.

    `audio` is tone, tone:HZ, silence or a file; `seconds` hangs up after so much talk.
    """
    console = console or Console()
    try:
        open_source(audio).close()
        async with Api(url) as api:
            await api.login(email, password)
            target = await find_user(api, user)
            with Keys() as keys, CallScreen(console, plain=plain) as screen:
                async with station(
                    api, device=device_name("call"), audio=audio, record=record
                ) as me:
                    narrate(screen, me)
                    call = await me.phone.place(target)
                    await converse(screen, keys, me, call, seconds)
            return await finish(console, api, call)
    except FAULTS as bad:
        return failed(console, bad)


async def answer(
    url: str,
    *,
    email: str = PROVIDER_MAIL,
    password: str = DEMO_PASSWORD,
    audio: str = "tone",
    record: Path | None = None,
    auto: bool = False,
    plain: bool = False,
    console: Console | None = None,
) -> int:
    """Wait for a call, answer it (by key, or at once with `auto`), talk. Returns the exit code."""
    console = console or Console()
    try:
        open_source(audio).close()
        async with Api(url) as api:
            await api.login(email, password)
            with Keys() as keys, CallScreen(console, plain=plain) as screen:
                async with station(
                    api,
                    device=device_name("answer"),
                    audio=audio,
                    tone_hz=CALLEE_HZ,
                    record=record,
                ) as me:
                    with contextlib.suppress(CommandRefused):  # Not a provider: no presence.
                        await me.phone.wire.command("presence_set", presence="online")
                    screen.say(f"{me.name} waits for a call")
                    await me.phone.until(lambda: me.phone.call is not None and me.phone.call.live)
                    call = me.phone.call
                    assert call is not None
                    screen.say(f"{call.peer_name} is calling: a accept, r reject", "bold")
                    narrate(screen, me)
                    await pick_up(keys, me, call, auto=auto or not keys.there)
                    await converse(screen, keys, me, call, None)
            return await finish(console, api, call)
    except FAULTS as bad:
        return failed(console, bad)


async def pick_up(keys: Keys, me: Station, call: CallView, *, auto: bool) -> None:
    """Accept or reject, as the user says; or come back when the call is over before that."""
    if auto:
        await me.phone.accept()
        return
    over = asyncio.create_task(me.phone.until(lambda: not call.live))
    try:
        while not over.done():
            key = asyncio.create_task(keys.queue.get())
            await asyncio.wait({key, over}, return_when=asyncio.FIRST_COMPLETED)
            if not key.done():
                key.cancel()
            elif key.result() == "a":
                await me.phone.accept()
                return
            elif key.result() in ("r", "h"):
                await me.phone.reject()
                return
    finally:
        over.cancel()


async def converse(
    screen: CallScreen, keys: Keys, me: Station, call: CallView, seconds: int | None
) -> None:
    """Show the call and obey keys until it is over, or `seconds` after it connected."""
    jobs = [
        asyncio.create_task(keep_showing(screen, call, [me], KEYS_HELP if keys.there else "")),
        asyncio.create_task(obey(screen, keys, me, call)),
        asyncio.create_task(hang_up_after(me, call, seconds)),
    ]
    try:
        await me.phone.until(lambda: not call.live)
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        if call.live:
            async with asyncio.timeout(SETTLED_S):
                await me.phone.hang_up()


async def obey(screen: CallScreen, keys: Keys, me: Station, call: CallView) -> None:
    """Do what the keys say until cancelled. A refused key is said, not fatal."""
    while True:
        key = await keys.queue.get()
        try:
            match key:
                case "h" | "q":
                    await me.phone.hang_up()
                case "m":
                    await me.phone.mute(not call.muted)
                    screen.say("muted" if call.muted else "not muted")
                case "o":
                    await me.phone.hold(not call.held)
                    screen.say("on hold" if call.held else "off hold")
                case "c":
                    screen.say("chat: type a line, Enter sends, Escape leaves")
                    line = await keys.line()
                    if line:
                        await me.phone.chat(line)
                        screen.say(f"you: {line}")
        except CommandRefused as refused:
            screen.say(str(refused), "red")


async def hang_up_after(me: Station, call: CallView, seconds: int | None) -> None:
    if seconds is None:
        return
    await me.phone.until(lambda: call.connected_at is not None)
    await asyncio.sleep(seconds)
    await me.phone.hang_up()


async def finish(console: Console, api: Api, call: CallView) -> int:
    """Print what it came to. A call that was never answered is no success."""
    if call.you == "elsewhere":
        return 0
    if call.connected_at is None:
        return failed(console, CallFailed(f"{call.reason} by {call.by}"))
    await print_receipt(console, api, call, None)
    return 0 if call.reason in ("hangup", "balance_exhausted", "max_duration") else 1


async def find_user(api: Api, user: str) -> str:
    """The id of a user given by id or by a provider's name, in any case.

    Raises:
        CallFailed: nobody, or several, go by that name.
    """
    with contextlib.suppress(ValueError):
        return str(UUID(user))
    wanted = user.partition("@")[0].casefold()
    found = [p for p in await api.providers() if p["displayName"].casefold() == wanted]
    if len(found) != 1:
        problem = "Nobody" if not found else "More than one provider"
        raise CallFailed(f"{problem} in the directory is called {user}.")
    return str(found[0]["otomoId"])


def device_name(what: str) -> str:
    """One device for each terminal, so that two of the same user do not replace each other."""
    return f"terminal-{what}-{os.getpid()}"
