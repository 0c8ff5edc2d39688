"""What people do, with their phones and by request, until the end of the faults."""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID

from signalling.codes import Refused
from signalling.commands import MediaWish
from storage.errors import Unavailable
from tests.simulation.node import Node
from tests.simulation.phone import Phone
from tests.simulation.told import View

if TYPE_CHECKING:
    from tests.simulation.world import World

OFTEN_MS = (1_000, 15_000)


class Person:
    """A user who does something every few seconds."""

    def __init__(self, world: "World", user_id: UUID, dice: Random) -> None:
        self._world = world
        self._id = user_id
        self._dice = dice
        self._phones = world.phones[user_id]
        self._others = [one for one in world.phones if one != user_id]

    def live(self) -> None:
        world, dice = self._world, self._dice
        if not world.faults:
            return
        world.time.later(dice.randint(*OFTEN_MS), self.live)
        phones = [phone for phone in self._phones if phone.ready]
        if not phones:
            return
        phone = dice.choice(phones)
        view = phone.app.live
        if view is None:
            if dice.random() < 0.5:
                self._call(phone)
            elif dice.random() < 0.1:
                phone.resend()
            return
        if dice.random() < 0.4:
            dice.choice(self._deeds(phone, view))()

    def _deeds(self, phone: Phone, view: View) -> list[Callable[[], None]]:
        deeds: list[Callable[[], None]] = [
            lambda: phone.app.offer(view),
            lambda: phone.app.take(view),
            lambda: self._break_media(view),
            phone.resend,
            self._top_up,
            self._spend,
            lambda: self._hold(phone, view),
            lambda: self._request(lambda node: node.live.routed.end(self._id, view.id)),
            lambda: self._request(lambda node: node.live.routed.live_call(self._id)),
            lambda: self._request(
                lambda node: node.live.routed.accept(self._id, view.id, media=MediaWish())
            ),
        ]
        if self._dice.random() < 0.1:
            deeds.append(lambda: self._request(lambda node: node.live.routed.stop(view.id)))
        if "phones" in self._world.plan.faults:
            deeds += 3 * [lambda: self._lose(phone)]
        return deeds

    def _call(self, phone: Phone) -> None:
        dice = self._dice
        data: dict[str, Any] = {"toUserId": dice.choice(self._others)}
        if dice.random() < 0.5:
            data["callId"] = self._world.new_id()
        if dice.random() < 0.2:
            data["connectOn"] = "answer"
        if not phone.pending("call_request"):
            phone.ask("call_request", None, **data)

    def _lose(self, phone: Phone) -> None:
        """The socket only, or the network with it."""
        dice = self._dice
        roll = dice.random()
        if roll < 0.3:
            phone.drop(told=True)
        elif roll < 0.5:
            phone.drop(told=False)
        else:
            phone.go_offline(half_open=roll < 0.7)
            away_ms = dice.choice((300, 2_000, 8_000, 20_000, 50_000))
            self._world.time.later(away_ms, phone.go_online)

    def _break_media(self, view: View) -> None:
        media = self._world.media(view.id)
        if "phones" not in self._world.plan.faults:
            return
        media.broken = True
        media.look(self._world.time.now_ms)

        def mend() -> None:
            media.broken = False
            media.look(self._world.time.now_ms)

        self._world.time.later(self._dice.choice((2_000, 15_000, 40_000, 90_000)), mend)

    def _hold(self, phone: Phone, view: View) -> None:
        if view.you == "active" and view.state == "connected" and view.role == "callee":
            phone.ask("media_state", view.id, audio=True, hold=True)

    def _top_up(self) -> None:
        wallet = self._world.accounts[self._id].wallet
        self._world.ledger.grant(wallet, self._dice.choice((50, 120, 600)))
        self._request(lambda node: node.live.routed.funded(self._id))

    def _spend(self) -> None:
        """What is not held may go elsewhere at any time."""
        wallet = self._world.accounts[self._id].wallet
        free = self._world.ledger.accounts[wallet].free
        if free < 1_000:
            self._world.ledger.grant(wallet, -self._dice.randint(0, free))

    def _request(self, make: Callable[[Any], Any]) -> None:
        async def run(node: Node) -> None:
            try:
                await make(node)
            except (Refused, Unavailable, TimeoutError):
                self._world.count("requests refused")

        self._world.rest(run)
