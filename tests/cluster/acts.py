"""The acts: what is done to the nodes under a call, and what must come of it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import time
from collections.abc import Iterable, Sequence

from tests.cluster.books import books_of, verify
from tests.cluster.observer import STEP_S, WINDOW_S
from tests.cluster.stage import ONE, TWO, Stage, hears, is_pitch
from tests.end_to_end.town import KAI_HZ, MIA_HZ, Handset

# A node may judge others when it has beaten for so long; before that a takeover takes longer.
STEADY_S = 6.0
LOOK_AFTER_S = 1.0
# A unit, and the interruption that is not billed.
UNIT_S = 100.0
NOAH, LEA = "noah@demo.talktime", "lea@demo.talktime"
NOAH_HZ, LEA_HZ = 550, 770


async def connect(stage: Stage) -> None:
    """Ring at one node, answer at the other, and hear each other."""
    act, mia, kai = "call", stage.mia, stage.kai
    stage.title("a call: Mia at node one, Kai at node two")
    began_s = time.monotonic()
    await mia.phone.place(kai.user_id)
    await kai.until_event("call_incoming")
    await mia.until_state("ringing")
    await kai.phone.accept()
    connected = [await each.event_at("call_connected", 1) for each in stage.observers]
    stage.findings.add(act, "from request to talk", f"{ms(max(connected) - began_s)} ms", True)
    await stage.observers[0].event_at("call_tick", 1)
    await both_hear(stage, act)


async def both_hear(stage: Stage, act: str) -> None:
    wanted = (KAI_HZ, MIA_HZ)
    heard = [
        await hears(observer.handset, hz)
        for observer, hz in zip(stage.observers, wanted, strict=True)
    ]
    stage.findings.add(
        act,
        f"they hear {KAI_HZ} and {MIA_HZ} Hz",
        pair(f"{hz:.0f} Hz" for hz in heard),
        all(map(is_pitch, heard, wanted)),
    )


async def kill(stage: Stage) -> None:
    """The node that runs the call is killed; the other one goes on with it."""
    act, findings = "kill -9", stage.findings
    await talked(stage, STEADY_S)
    peers = [each.handset.phone.peer for each in stage.observers]
    stage.title("kill -9 of node one, which runs the call")
    killed_s = time.monotonic()
    await stage.fleet[ONE].kill()
    back = [await each.event_at("call_connected", 2) for each in stage.observers]
    stage.move(TWO)
    await asyncio.sleep(LOOK_AFTER_S)
    until_s = time.monotonic()
    resumed = [each.handset.all("call_connected")[1].data for each in stage.observers]
    findings.add(
        act,
        "from the kill to resumed",
        pair(f"{ms(at_s - killed_s)} ms" for at_s in back),
        all(data.get("resumed") for data in resumed),
    )
    sound(stage, act, killed_s, until_s, peers)
    findings.add(act, "nothing has ended", *no("call_ended", stage))


async def replace(stage: Stage) -> None:
    """Node one is there again; node two, which runs the call now, is replaced as in a deploy."""
    act, findings = "deploy", stage.findings
    stage.say("node one starts again")
    await stage.fleet.start(ONE)
    await stage.together(TWO)
    stage.title("SIGTERM to node two, which runs the call now")
    interrupted = sum(each.count("call_reconnecting") for each in stage.observers)
    connects = [each.handset.phone.wire.connects for each in stage.observers]
    peers = [each.handset.phone.peer for each in stage.observers]
    told_s = time.monotonic()
    stage.fleet[TWO].signal(signal.SIGTERM)
    for observer, count in zip(stage.observers, connects, strict=True):
        await observer.is_back(count)
    code = await stage.fleet[TWO].ended()
    ended_s = time.monotonic()
    stage.move(ONE)
    await asyncio.sleep(LOOK_AFTER_S)
    until_s = time.monotonic()
    findings.add(act, "from SIGTERM to its end", f"{ms(ended_s - told_s)} ms", code == 0)
    off = [f"{each.off_ms(told_s)} ms" for each in stage.observers]
    findings.add(act, "without a socket", pair(off), True)
    sound(stage, act, told_s, until_s, peers)
    more = sum(each.count("call_reconnecting") for each in stage.observers) - interrupted
    findings.add(act, "interruptions told", more, more == 0)
    findings.add(act, "nothing has ended", *no("call_ended", stage))
    stage.say("node two starts again")
    await stage.fleet.start(TWO)
    await stage.together(ONE)


async def relayed(stage: Stage) -> None:
    """Another call between the nodes, whose sound may only go through the TURN server."""
    act, findings, relay = "relay", stage.findings, stage.relay
    if relay is None:
        return
    stage.title("a call of Noah at node one with Lea at node two, through coturn alone")
    noah = await stage.fleet.handset(NOAH, "noahs-phone", NOAH_HZ, at=ONE, relay_only=True)
    lea = await stage.fleet.handset(LEA, "leas-phone", LEA_HZ, at=TWO, relay_only=True)
    await stage.fleet.sees(ONE, lea)
    await noah.phone.place(lea.user_id)
    await lea.until_event("call_incoming")
    await lea.phone.accept()
    for each in (noah, lea):
        await each.until_state("connected")
    both, wanted = (noah, lea), (LEA_HZ, NOAH_HZ)
    heard = [await hears(each, hz) for each, hz in zip(both, wanted, strict=True)]
    findings.add(
        act,
        f"they hear {LEA_HZ} and {NOAH_HZ} Hz",
        pair(f"{hz:.0f} Hz" for hz in heard),
        all(map(is_pitch, heard, wanted)),
    )
    await asyncio.sleep(LOOK_AFTER_S)
    ways = [ways_of(each) for each in both]
    findings.add(
        act,
        "candidates, both ends",
        pair("–".join(way) for way in ways),
        all(way == ("relay", "relay") for way in ways),
    )
    ended = await noah.phone.hang_up()
    await lea.until_state("ended")
    usage = await relay.says(rf": peer usage: .*:{ended.id}>", 2)
    counts = [
        (int(got), int(sent)) for got, sent in re.findall(r"rp=(\d+).*?sp=(\d+)", "\n".join(usage))
    ]
    findings.add(
        act,
        "packets at coturn, in and out",
        pair(f"{got} and {sent}" for got, sent in counts),
        len(counts) == 2 and all(got > 0 and sent > 0 for got, sent in counts),
    )
    books = await books_of(stage.dsn, ended.id)
    findings.add(
        act, "its bill", f"{ended.final['total']} PTS", ended.final["total"] == books.taken > 0
    )


async def settle(stage: Stage) -> None:
    """The meter ticks on; then hang up, and everybody's figures agree."""
    act, findings, mia, kai = "bill", stage.findings, stage.mia, stage.kai
    stage.say("they talk on, until a second unit is begun")
    for observer in stage.observers:
        await observer.event_at("call_tick", 2, UNIT_S)
    await both_hear(stage, act)
    stage.title("Mia hangs up")
    ended = await mia.phone.hang_up()
    for observer in stage.observers:
        await observer.event_at("call_ended", 1)
    call = ended.id
    final = ended.final
    books = await books_of(stage.dsn, call)
    bill = await mia.api.billing(call)
    findings.add(act, "nodes that have run the call", books.owners, books.owners == 3)
    assert ended.connected_at is not None
    wall_ms = mia.all("call_ended")[0].ts - ended.connected_at
    findings.add(
        act,
        "talked, of which billed",
        f"{wall_ms / 1_000:.3f} s, {books.billable_ms / 1_000:.3f} s",
        books.billable_ms <= wall_ms,
    )
    findings.add(
        act,
        "units: due, receipt, phones",
        f"{books.units}, {bill['units']}, {final['units']} · {kai.call.final['units']}",
        books.units == bill["units"] == final["units"] == kai.call.final["units"],
    )
    findings.add(
        act,
        "PTS: due, receipt, phones, books",
        f"{books.due}, {bill['totalCharged']}, {final['total']} · {kai.call.final['total']}, "
        f"{books.taken}",
        books.due
        == bill["totalCharged"]
        == final["total"]
        == kai.call.final["total"]
        == books.taken,
    )
    wallet = await mia.api.balance()
    findings.add(
        act,
        "Mia's wallet",
        f"{stage.wallet} → {wallet.balance} PTS, {wallet.held} held",
        stage.wallet - wallet.balance == books.taken and wallet.held == 0,
    )
    await kai.phone.until(lambda: kai.phone.earnings == books.given, STEP_S)
    findings.add(
        act, "Kai's earnings", f"{kai.phone.earnings} PTS", kai.phone.earnings == books.given
    )
    faults = mia.phone.faults + kai.phone.faults
    findings.add(act, "faults at the phones", "; ".join(faults) or "none", not faults)
    ok, line = await verify(stage.dsn)
    findings.add(act, "talktime ledger verify", line, ok)


# -- small things


def sound(stage: Stage, act: str, from_s: float, to_s: float, peers: Sequence[object]) -> None:
    """Not one moment of silence, on the connection there was."""
    heard = [each.windows(from_s, to_s) for each in stage.observers]
    stage.findings.add(
        act,
        "packets of sound in 200 ms",
        pair(f"{min(each)} to {max(each)}" for each in heard),
        all(min(each) > 0 for each in heard),
    )
    stage.findings.add(
        act,
        f"and a second, over {to_s - from_s:.1f} s",
        pair(f"{sum(each) / len(each) / WINDOW_S:.0f}" for each in heard),
        same(stage, peers),
    )


def pair(texts: Iterable[str]) -> str:
    return " · ".join(texts)


async def talked(stage: Stage, seconds: float) -> None:
    connected = await stage.observers[0].event_at("call_connected", 1)
    await asyncio.sleep(max(0.0, connected + seconds - time.monotonic()))


def same(stage: Stage, peers: Sequence[object]) -> bool:
    return [each.handset.phone.peer for each in stage.observers] == list(peers)


def no(kind: str, stage: Stage) -> tuple[str, bool]:
    count = sum(each.count(kind) for each in stage.observers)
    return ("goes on" if count == 0 else f"{count} {kind}"), count == 0


def ways_of(handset: Handset) -> tuple[str, ...]:
    """What the chosen pair of candidates is, ours and theirs."""
    peer = handset.phone.peer
    with contextlib.suppress(AttributeError):
        return peer._link.pair_types() or ()  # type: ignore[union-attr]
    return ()


def ms(seconds: float) -> int:
    return round(seconds * 1_000)
