"""From a wish to a ringing call: terms, admission, authorisation, or a recorded refusal.

Nobody is told of a call before its row, slots and hold are committed.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

import msgspec

from signalling.calls.asker import Asker
from signalling.calls.circle import Circle
from signalling.calls.host import Accounts, Cause, Host, Later, Performer
from signalling.calls.performer import Books
from signalling.calls.records import profile, snapshot_of
from signalling.calls.refusing import Refuser
from signalling.calls.registry import Registry
from signalling.codes import Code, Party, Reason, Refused, State
from signalling.commands import CallRequest
from signalling.core import inputs
from signalling.core.admission import Admitted, Asked, Price, admit, check_caller, insufficient
from signalling.core.call import BEFORE_ANSWER, open_call
from signalling.core.model import REST
from signalling.core.views import snapshot
from signalling.events import Snapshot
from signalling.limits import CallLimits
from signalling.nodes.fanout import NOWHERE, Fanout
from signalling.push import Push
from storage import calls, works
from storage.errors import Unavailable
from storage.ids import new_id
from storage.pool import Pool, within
from storage.terms import Ask, KnownCall, Terms

log = logging.getLogger(__name__)

READ_S = 4.0


class Opened(msgspec.Struct, frozen=True):
    """A started call, or one that ended at once. `merged`: an opposite call was joined instead."""

    call_id: UUID
    snapshot: Snapshot
    merged: bool = False


class House(msgspec.Struct, frozen=True, kw_only=True):
    """What this deployment charges for callees without a profile, and takes from those with one."""

    tariff: str
    rate_minor: int
    share_bps: int
    platform: int


class TermsSource(Protocol):
    async def read(self, ask: Ask) -> Terms | None:
        """None when there is no such caller or callee.

        Raises:
            Unavailable: ask again later.
        """


class Elsewhere(Protocol):
    """What is asked of the nodes that run other calls. None: no other node runs it."""

    async def look(self, user_id: UUID, call_id: UUID, device: str | None) -> Snapshot | None: ...

    async def join(
        self, call_id: UUID, user_id: UUID, *, device: str | None, video: bool, re: str | None
    ) -> Snapshot | None: ...


class Opener:
    def __init__(
        self,
        *,
        pool: Pool,
        terms: TermsSource,
        registry: Registry,
        books: Books,
        performer: Performer,
        fanout: Fanout,
        circle: Circle,
        elsewhere: Elsewhere,
        push: Push,
        limits: CallLimits,
        house: House,
        clock: Callable[[], int],
        later: Later,
        closed: Callable[[], bool] = lambda: False,
    ) -> None:
        """`closed` says whether this node begins no calls any more."""
        self._refuser = Refuser(books=books, performer=performer, fanout=fanout, clock=clock)
        self._circle = circle
        self._elsewhere = elsewhere
        self._pool = pool
        self._terms = terms
        self._registry = registry
        self._books = books
        self._performer = performer
        self._fanout = fanout
        self._push = push
        self._limits = limits
        self._house = house
        self._clock = clock
        self._later = later
        self._closed = closed

    async def request(
        self,
        *,
        caller: UUID,
        device: str,
        wish: CallRequest,
        request_id: str | None,
        connect_on: str,
    ) -> Opened:
        if (wish.to_user_id is None) == (wish.to_phone is None):
            raise Refused(
                Code.BAD_FRAME, "Name the callee by toUserId or by toPhone.", field="data.toUserId"
            )
        terms = await self._terms.read(
            Ask(
                caller_id=caller,
                callee_id=wish.to_user_id,
                callee_phone=wish.to_phone,
                kind=wish.kind,
                device=device,
                request_id=request_id,
                call_id=wish.call_id,
                now_ms=self._clock(),
                calls_max=self._limits.calls_per_hour_max,
            )
        )
        if terms is None:
            raise Refused(Code.NOT_FOUND, "There is no such user.", field=named_by(wish))
        places = await self._places(caller, terms.callee.user_id)
        asker = Asker(caller, device, request_id, connect_on, wish, terms, *places)
        if terms.known is not None:
            return await self._again(asker, terms.known)
        return await self._start(asker)

    async def _places(self, caller: UUID, callee: UUID) -> tuple[frozenset[str], frozenset[str]]:
        """The other nodes on which the two have sockets.

        Raises:
            Refused: unavailable, nobody can say, and the callee is not here.
        """
        try:
            return await self._circle.where(caller, callee)
        except Unavailable:
            if self._fanout.is_here(callee):
                return NOWHERE, NOWHERE
            raise Refused(
                Code.UNAVAILABLE,
                "Other servers cannot be reached; send the same request again.",
                retry_after_ms=1_000,
            ) from None

    async def _start(self, asker: Asker) -> Opened:
        terms = asker.terms
        if self._closed():
            raise Refused(
                Code.UNAVAILABLE,
                "This server is going away; send the same request again.",
                retry_after_ms=1_000,
            )
        check_caller(terms.caller.status)
        merged = self._join_opposite(asker)
        if merged is not None:
            return merged
        if self._registry.of_user(asker.caller) is not None:
            raise Refused(Code.SELF_BUSY, "You are in a call already.")
        admitted = admit(self._asked(asker))
        if admitted.refusal is not None:
            return await self._refuse(asker, admitted, admitted.refusal)
        if self._registry.of_user(terms.callee.user_id) is not None:
            return await self._refuse(asker, admitted, Reason.BUSY)
        call_id = asker.wish.call_id or new_id()
        outcome = await self._authorise(asker, admitted, call_id)
        match outcome:
            case Host():
                return Opened(call_id, self._snapshot(outcome, asker))
            case works.Known(call_id=known):
                first = KnownCall(known, asker.caller, terms.callee.user_id, "")
                return await self._again(asker, first)
            case works.Short(required_minor=required, available_minor=available):
                raise insufficient(required, available)
            case works.SlotTaken(user_id=user_id, call_id=taken):
                merged = self._join_opposite(asker) or await self._join_elsewhere(asker, taken)
                if merged is not None:
                    return merged
                if user_id == asker.caller:
                    raise Refused(Code.SELF_BUSY, "You are in a call already.")
                return await self._refuse(asker, admitted, Reason.BUSY)
            case _:
                raise Refused(
                    Code.UNAVAILABLE,
                    "The call could not be started; send the same request again.",
                    retry_after_ms=1_000,
                )

    def _asked(self, asker: Asker) -> Asked:
        terms, house = asker.terms, self._house
        offer = terms.provider
        if offer is None:
            price = Price(
                tariff=house.tariff,
                rate_minor=house.rate_minor,
                share_bps=0,
                currency=terms.currency,
            )
        else:
            price = Price(
                tariff=offer.tariff,
                rate_minor=offer.price_minor,
                share_bps=house.share_bps if offer.share_bps is None else offer.share_bps,
                currency=terms.currency,
            )
        return Asked(
            caller_id=asker.caller,
            callee_id=terms.callee.user_id,
            named_by=named_by(asker.wish),
            callee_active=terms.callee.status == "active",
            blocked=terms.blocked,
            availability=None if offer is None else offer.availability,
            reachable=self._has_device(asker)
            or asker.connect_on == "answer"
            or self._wakeable(asker),
            price=price,
            price_max_minor=asker.wish.max_price_per_minute,
            available_minor=terms.available_minor,
            failed_recently=terms.unanswered,
            failed_since_ms=terms.unanswered_since_ms,
            calls_last_hour=terms.calls_last_hour,
            limits=self._limits,
            now_ms=self._clock(),
        )

    def _wakeable(self, asker: Asker) -> bool:
        return self._push.enabled and asker.terms.wakeable

    def _has_device(self, asker: Asker) -> bool:
        return bool(asker.callee_nodes) or self._fanout.is_here(asker.terms.callee.user_id)

    def _snapshot(self, host: Host, asker: Asker) -> Snapshot:
        party = host.party(asker.caller)
        return snapshot(host.call, party, asker.device, self._clock())

    def _join_opposite(self, asker: Asker) -> Opened | None:
        """Glare: the callee is ringing the caller already, so both want the same call."""
        host = self._registry.of_user(asker.caller)
        if host is None or host.call.state not in BEFORE_ANSWER:
            return None
        opposite = host.user(Party.CALLER) == asker.terms.callee.user_id
        if not opposite or host.user(Party.CALLEE) != asker.caller:
            return None
        device = asker.device if self._is_socket(asker) else None
        cause = Cause(asker.caller, asker.device, asker.request_id)
        host.feed(inputs.Accepted(device, True, asker.wish.kind == "video"), cause)
        return Opened(host.id, self._snapshot(host, asker), merged=True)

    async def _join_elsewhere(self, asker: Asker, call_id: UUID) -> Opened | None:
        """As `_join_opposite`, for a call that another node runs."""
        if self._circle.alone:
            return None
        view = await self._elsewhere.join(
            call_id,
            asker.caller,
            device=asker.device if self._is_socket(asker) else None,
            video=asker.wish.kind == "video",
            re=asker.request_id,
        )
        return None if view is None else Opened(call_id, view, merged=True)

    def _is_socket(self, asker: Asker) -> bool:
        return self._fanout.has_device(asker.caller, asker.device)

    async def _authorise(
        self, asker: Asker, admitted: Admitted, call_id: UUID
    ) -> works.Outcome | Host:
        """Slots, row and hold; the host is made in the very moment in which the answer comes."""
        terms, tariff = asker.terms, admitted.tariff
        earnings = terms.earnings if terms.provider is not None else None
        accounts = Accounts(terms.wallet, earnings, self._house.platform, terms.bonus)
        answer: asyncio.Future[works.Outcome | Host] = asyncio.get_running_loop().create_future()
        created_ms = self._clock()

        def answered(outcome: works.Outcome) -> None:
            result: works.Outcome | Host = outcome
            if isinstance(outcome, works.Authorised):
                result = self._open(asker, admitted, call_id, accounts, outcome, created_ms)
            if not answer.done():
                answer.set_result(result)

        work = works.Authorise(
            call_id=call_id,
            caller_id=asker.caller,
            callee_id=terms.callee.user_id,
            caller_device=asker.device,
            request_id=asker.request_id,
            kind=asker.wish.kind,
            connect_on=asker.connect_on,
            note=asker.wish.note,
            tariff=msgspec.json.encode(tariff),
            hold_minor=admitted.hold_minor,
            payer=accounts.payer,
            bonus=accounts.bonus,
            payee=accounts.payee,
            platform=accounts.platform,
            created_ms=created_ms,
        )
        self._books.put(work, answered)
        return await answer

    def _open(
        self,
        asker: Asker,
        admitted: Admitted,
        call_id: UUID,
        accounts: Accounts,
        authorised: works.Authorised,
        created_ms: int,
    ) -> Host:
        terms = asker.terms
        callee = profile(terms.callee)
        if terms.provider is not None:
            callee = msgspec.structs.replace(callee, name=terms.provider.display_name)
        call, effects = open_call(
            call_id=call_id,
            kind=asker.wish.kind,
            connect_on=asker.connect_on,
            caller=profile(terms.caller),
            callee=callee,
            device=asker.device,
            has_socket=asker.device != REST,
            here=self._is_socket(asker),
            tariff=admitted.tariff,
            held_minor=admitted.hold_minor,
            available_minor=authorised.available_minor,
            limits=self._limits,
            note=asker.wish.note,
            wakeable=self._wakeable(asker),
            created_ms=created_ms,
            now_ms=self._clock(),
        )
        host = Host(call, accounts, self._performer, self._clock, self._later)
        self._registry.add(host)
        self._circle.opened(host, asker.caller_nodes, asker.callee_nodes)
        host.begin(effects, Cause(asker.caller, asker.device, asker.request_id))
        if not self._has_device(asker) and not self._wakeable(asker):
            # A call of the request-and-answer kind: whoever polls for it is being rung.
            host.feed(inputs.Rang(REST))
        return host

    async def _again(self, asker: Asker, known: KnownCall) -> Opened:
        """The same request once more: the same call, whatever has become of it."""
        if known.caller_id != asker.caller or known.callee_id != asker.terms.callee.user_id:
            raise Refused(Code.BAD_FRAME, "This id belongs to another call.", field="data.callId")
        host = self._registry.find(known.call_id)
        if host is not None:
            return Opened(known.call_id, self._snapshot(host, asker))
        if not self._circle.alone:
            view = await self._elsewhere.look(asker.caller, known.call_id, asker.device)
            if view is not None:
                return Opened(known.call_id, view)
        row = await within(READ_S, self._read(asker.caller, known.call_id))
        if row is None or row.state != State.ENDED:
            raise Refused(
                Code.UNAVAILABLE, "The call is on its way; ask again.", retry_after_ms=500
            )
        return Opened(known.call_id, snapshot_of(row, Party.CALLER, asker.device))

    async def _read(self, user_id: UUID, call_id: UUID) -> calls.CallRow | None:
        async with self._pool.acquire() as conn:
            return await calls.read_call(conn, user_id, call_id)

    async def _refuse(self, asker: Asker, admitted: Admitted, reason: Reason) -> Opened:
        row = await self._refuser.record(asker, msgspec.json.encode(admitted.tariff), reason)
        return Opened(row.call_id, snapshot_of(row, Party.CALLER, asker.device))


def named_by(wish: CallRequest) -> str:
    """The field of a request that names the callee."""
    return "data.toPhone" if wish.to_user_id is None else "data.toUserId"
