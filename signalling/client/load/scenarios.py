"""How calls go: each scenario is a few steps of a `Talk`, and says what must come of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from signalling.client.load.books import Books, Web
from signalling.client.load.crew import Couple, Crew
from signalling.client.load.device import Device, code_of
from signalling.client.load.plan import Plan
from signalling.client.load.talk import CallFailed, Talk

# Beyond the server's own timers; the deadline that counts is in the snapshot.
SLACK_S = 5.0
READER_PAUSE_S = 1.0
AWAY_S = 0.5
TOP_UP_MINOR = 500
SCREENS = (
    "/auth/me",
    "/otomo/list?limit=20&isOnline=true",
    "/wallet/balance",
    "/wallet/entries?limit=20",
    "/calls?limit=20",
    "/notifications?limit=20",
)


class NobodyFree(Exception):
    """A scenario needs more users than are free."""


class Play:
    """One turn of a scenario: a couple, and what else there is on the stage."""

    def __init__(self, crew: Crew, plan: Plan, couple: Couple, web: Web, books: Books) -> None:
        self.crew = crew
        self.plan = plan
        self.couple = couple
        self.web = web
        self.books = books
        self.talks: list[Talk] = []
        self._borrowed: list[Couple] = []

    def talk(self, caller: Device, callee: Device) -> Talk:
        talk = Talk(self.crew.meter, self.crew.dice, self.plan, caller, callee)
        talk.attach()
        self.talks.append(talk)
        return talk

    def own_talk(self) -> Talk:
        return self.talk(self.couple.caller, self.couple.callee)

    def borrow(self) -> Couple:
        """Two more people, until the end of the play.

        Raises:
            NobodyFree: there are none.
        """
        couple = self.crew.take()
        if couple is None:
            raise NobodyFree
        self._borrowed.append(couple)
        return couple

    async def clear(self) -> None:
        """Nothing goes on afterwards, and the books know what every call came to."""
        for talk in self.talks:
            await talk.clear()
            talk.detach()
            talk.caller.revive()
            talk.callee.revive()
            if talk.call:
                self.books.note(talk)
        for couple in self._borrowed:
            self.crew.give_back(couple)


async def answered(play: Play) -> None:
    talk = play.own_talk()
    await _talking(talk)
    await _hang_up(talk)


async def rejected(play: Play) -> None:
    talk = play.own_talk()
    await talk.request()
    await talk.ring()
    await talk.reject()
    await talk.ended("declined", rejected=True)


async def cancelled(play: Play) -> None:
    talk = play.own_talk()
    await talk.request()
    await talk.ring()
    await talk.hang_up()
    await talk.ended("cancelled")


async def no_answer(play: Play) -> None:
    talk = play.own_talk()
    await talk.request()
    await talk.ring()
    ring_s = (talk.asked["call"]["expiresAt"] - talk.asked["call"]["createdAt"]) / 1_000
    await talk.ended("no_answer", within_s=2 * ring_s + SLACK_S)


async def busy(play: Play) -> None:
    """Somebody else rings the callee of a call that goes on; it hears nothing of that."""
    other = play.borrow()
    talk = play.own_talk()
    await _talking(talk)
    third = play.talk(other.caller, other.callee)
    await third.request(to=play.couple.callee.login)
    await third.until("caller", "call_rejected")
    reason = third.told["caller", "call_rejected"]["reason"]
    if reason != "busy":
        raise CallFailed(f"ended_{reason}", "end")
    await _hang_up(talk)


async def glare(play: Play) -> None:
    """Both ask in the same moment; one of them has answered the other's call."""
    talk = play.own_talk()
    mine, theirs = await asyncio.gather(talk.request("caller"), talk.request("callee"))
    if mine["call"]["id"] != theirs["call"]["id"]:
        text = f"{mine['call']['id']} and {theirs['call']['id']}: a glare made two calls"
        talk.caller.witness.accuse("one live call", text)
        raise CallFailed("two_calls", "request")
    if bool(mine.get("merged")) == bool(theirs.get("merged")):
        talk.caller.witness.accuse("one live call", "a glare was merged for both, or for neither")
    for side in ("caller", "callee"):
        await talk.until(side, "call_accepted")
    if mine["call"]["role"] == "callee":
        # The other side asked first: it is the caller of this call, and pays.
        talk.swap(theirs)
    await talk.exchange()
    await talk.connect()
    await talk.pause(play.plan.talk_s)
    await _hang_up(talk)


async def out_of_money(play: Play) -> None:
    """To the end of the money; without any the call is refused, and that is right too."""
    talk = play.own_talk()
    try:
        await talk.request()
    except CallFailed as failed:
        if failed.code != "insufficient_funds":
            raise
        if failed.data["required"] <= failed.data["available"]:
            talk.caller.witness.accuse("books", f"refused for want of money: {failed.data}")
        return
    await talk.ring()
    await talk.accept()
    await talk.exchange()
    await talk.connect()
    connected = talk.told["caller", "call_connected"]
    left_s = (connected["meter"]["fundedUntil"] - connected["connectedAt"]) / 1_000
    await talk.ended("balance_exhausted", within_s=left_s + SLACK_S)


async def top_up(play: Play) -> None:
    talk = play.own_talk()
    await _talking(talk)
    began_s = time.perf_counter()
    await play.web.top_up(play.couple.caller.login, TOP_UP_MINOR)
    play.books.topped_up(play.couple.caller.login.user_id, TOP_UP_MINOR)
    talk.phase = "top-up"
    await talk.until("caller", "wallet_topup")
    play.crew.meter.note("top-up", began_s)
    await _hang_up(talk)


async def reconnect(play: Play) -> None:
    """A leg loses its socket; the call waits for it, and what was missed comes after it."""
    talk = play.own_talk()
    await _talking(talk)
    side = play.crew.dice.choice(("caller", "callee"))
    other = "callee" if side == "caller" else "caller"
    device = talk.device(side)
    device.cut()
    talk.phase = "resume"
    await talk.until(other, "call_reconnecting")
    await talk.pause(AWAY_S)
    try:
        welcome = await device.connect("resume")
    except (OSError, TimeoutError) as fault:
        raise CallFailed(code_of(fault), "resume") from None
    if not welcome["resumed"]:
        play.crew.meter.tally.error("resume", "new_session")
        talk.seen[side, "call_reconnecting"] += 1  # The snapshot has told of it.
    await talk.until(side, "call_reconnecting")
    device.media(talk.call)
    for each in ("caller", "callee"):
        await talk.until(each, "call_connected", times=2)
    await _hang_up(talk)


async def slow_reader(play: Play) -> None:
    """A leg does not read while the other goes on: all is there afterwards, and in order."""
    talk = play.own_talk()
    await talk.request()
    await talk.ring()
    await talk.accept()
    slow, talk.timed = talk.callee, False
    slow.pause()
    sending = asyncio.create_task(talk.exchange())
    try:
        await asyncio.sleep(READER_PAUSE_S)
        slow.resume()
        await sending
    finally:
        slow.resume()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    await talk.connect()
    await _hang_up(talk)


async def screens(play: Play) -> None:
    """What an app asks for when its user walks through it."""
    device = play.crew.dice.choice((play.couple.caller, play.couple.callee))
    for path in SCREENS:
        began_s = time.perf_counter()
        await play.web.get(path, device.login)
        play.crew.meter.note("rest", began_s)
        low_s, high_s = play.plan.think_s
        await asyncio.sleep(play.crew.dice.uniform(low_s, high_s))


async def _talking(talk: Talk) -> None:
    await talk.request()
    await talk.ring()
    await talk.accept()
    await talk.exchange()
    await talk.connect()
    await talk.pause(talk.plan.talk_s)


async def _hang_up(talk: Talk) -> None:
    await talk.hang_up(talk.dice.choice(("caller", "callee")))
    await talk.ended("hangup")


Scenario = Callable[[Play], Awaitable[None]]
TABLE: Mapping[str, Scenario] = {
    "answered": answered,
    "rejected": rejected,
    "cancelled": cancelled,
    "busy": busy,
    "no-answer": no_answer,
    "glare": glare,
    "out-of-money": out_of_money,
    "top-up": top_up,
    "reconnect": reconnect,
    "slow-reader": slow_reader,
    "screens": screens,
}
