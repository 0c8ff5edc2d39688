"""The sums of a run, and what the server's ledger says to its users about the same calls.

Only what an app may ask: wallets, entries, receipts, by REST, with each user's own token.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from random import Random
from types import TracebackType
from typing import Any, Protocol, Self

import aiohttp
import msgspec

from signalling.client.envelope import Json
from signalling.client.load.checks import Witness
from signalling.client.load.device import Login, Meter, Pair
from signalling.client.load.measure import Violation

AT_ONCE = 16
TIMEOUT_S = 15.0
RETRIES_MAX = 8
RETRY_S_MAX = 5.0
# A last call may be settled some seconds after its end was told.
QUIET_TRIES = 20
QUIET_S = 0.5
# Of more calls than these a sample is compared one by one; the wallets tell of all.
RECEIPTS_MAX = 500
PAGE = 50
PAGES_MAX = 40


class RestFailed(Exception):
    """The server said no by REST, or nothing: the public code, `http_<status>` or a word."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Web:
    """The REST side of all users of one generator."""

    def __init__(self, meter: Meter, url: str) -> None:
        base = url.replace("ws", "http", 1) if url.startswith("ws") else url
        self._base = base.rstrip("/").removesuffix("/ws")
        self._meter = meter
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=2 * AT_ONCE),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._http is not None:
            await self._http.close()

    async def get(self, path: str, login: Login) -> Json:
        """
        Raises:
            RestFailed: any answer that is not a success; after some tries if it is "too many".
        """
        return await self._ask("GET", path, login)

    async def top_up(self, login: Login, amount_minor: int) -> None:
        """Pay at the sandbox's counter; the money is there when the wallet says so.

        Raises:
            RestFailed: there is no sandbox, or it was not taken.
        """
        body = {"amount": amount_minor, "method": "sandbox", "purpose": "topup"}
        opened = await self._ask("POST", "/payments", login, body)
        await self._ask("POST", opened["payment"]["checkoutUrl"], login, {"outcome": "pay"})

    async def _ask(self, method: str, path: str, login: Login, body: Json | None = None) -> Json:
        assert self._http is not None
        url = path if "://" in path else self._base + path
        headers = {"Authorization": f"Bearer {login.token}", "Accept": "application/json"}
        for _ in range(RETRIES_MAX):
            try:
                async with self._http.request(method, url, json=body, headers=headers) as answer:
                    raw, status = await answer.read(), answer.status
                    wait = answer.headers.get("Retry-After", "1")
            except (aiohttp.ClientError, OSError, TimeoutError) as fault:
                raise RestFailed(type(fault).__name__) from None
            if status != 429:
                break
            self._meter.tally.error("rest", "RATE_LIMITED")
            await asyncio.sleep(min(float(wait) if wait.isdigit() else 1.0, RETRY_S_MAX))
        try:
            found: Json = msgspec.json.decode(raw, type=dict[str, Any])
        except msgspec.DecodeError:
            raise RestFailed(f"http_{status}") from None
        if status >= 400:
            raise RestFailed(str(found.get("error") or f"http_{status}"))
        return found


class Purse(msgspec.Struct, frozen=True):
    """What a user has: for calls, of that set aside, and earned."""

    spending: int = 0
    held: int = 0
    earned: int = 0


class Bill(msgspec.Struct, frozen=True):
    """What the two devices were told that a call came to; None if they were not."""

    payer: Login
    payee: Login
    total: int | None
    units: int


class Side(Protocol):
    """A party of a call: whose device it was, and what that was told."""

    @property
    def login(self) -> Login: ...

    @property
    def witness(self) -> Witness: ...


class Called(Protocol):
    """A call; `rung` is who was called, by whichever device they would have answered."""

    @property
    def call(self) -> str: ...

    @property
    def caller(self) -> Side: ...

    @property
    def callee(self) -> Side: ...

    @property
    def rung(self) -> Login: ...


class Books:
    """`open` before the first call, `note` after each, `close` when all is quiet."""

    def __init__(self, meter: Meter, web: Web, pairs: Sequence[Pair], dice: Random) -> None:
        self._meter = meter
        self._web = web
        self._dice = dice
        self._users = {each.user_id: each for pair in pairs for each in (pair.caller, pair.callee)}
        self._before: dict[str, Purse] = {}
        self._bills: dict[str, Bill] = {}
        self._topped: Counter[str] = Counter()

    async def open(self) -> None:
        """Read everybody's wallets.

        Raises:
            RestFailed: somebody's cannot be read.
        """
        self._before = await self._purses()

    def note(self, talk: Called) -> None:
        told = talk.caller.witness.calls.get(talk.call)
        other = talk.callee.witness.calls.get(talk.call)
        payer, payee = talk.caller.login, talk.rung
        if told is not None and told.role == "callee":
            payer, payee = payee, payer
        finals = [each.final for each in (told, other) if each is not None and each.final]
        if len(finals) == 2 and finals[0] != finals[1]:
            self._blame(f"call {talk.call}: one side was told {finals[0]}, the other {finals[1]}")
        total = finals[0]["total"] if finals else None
        units = finals[0]["units"] if finals else 0
        self._bills[talk.call] = Bill(payer, payee, total, units)

    def topped_up(self, user_id: str, amount_minor: int) -> None:
        self._topped[user_id] += amount_minor

    async def close(self) -> None:
        """Compare; what does not fit is blamed.

        Raises:
            RestFailed: the server does not answer.
        """
        if not self._before:
            return
        spent: Counter[str] = Counter()
        earned: Counter[str] = Counter()
        checked = self._sample()
        receipts = await self._receipts(checked)
        for call, bill in self._bills.items():
            receipt = receipts.get(call)
            total = bill.total
            if total is None:
                total = receipt[0]["totalCharged"] if receipt else 0
            self._meter.tally.billed += 1
            self._meter.tally.charged_minor += total
            spent[bill.payer.user_id] += total
            if receipt is not None:
                self._compare(call, bill, *receipt)
                earned[bill.payee.user_id] += receipt[1].get("earned", 0)
        await self._entries(checked)
        await self._quiet()
        await self._wallets(spent, earned if len(checked) == len(self._bills) else None)

    def _sample(self) -> list[str]:
        """All calls, or all that nobody was told of and some of the others."""
        unsure = [call for call, bill in self._bills.items() if bill.total is None]
        sure = [call for call, bill in self._bills.items() if bill.total is not None]
        return unsure + self._dice.sample(sure, min(len(sure), RECEIPTS_MAX))

    def _compare(self, call: str, bill: Bill, paid: Json, got: Json) -> None:
        self._meter.tally.compared += 1
        charged = sum(unit["chargedPoints"] for unit in paid["billingUnits"])
        if not paid["settled"]:
            self._blame(f"call {call} is not settled")
        if bill.total is not None and (paid["totalCharged"], paid["units"]) != (
            bill.total,
            bill.units,
        ):
            self._blame(
                f"call {call}: told {bill.total} for {bill.units} units, "
                f"and the receipt has {paid['totalCharged']} for {paid['units']}"
            )
        if charged != paid["totalCharged"]:
            self._blame(f"call {call}: its units add up to {charged} of {paid['totalCharged']}")
        if got["totalCharged"] != paid["totalCharged"]:
            self._blame(f"call {call}: payer and payee see different totals")
        if got.get("earned", 0) > paid["totalCharged"]:
            self._blame(f"call {call} earned {got['earned']} of {paid['totalCharged']}")

    async def _receipts(self, calls: Iterable[str]) -> dict[str, tuple[Json, Json]]:
        found: dict[str, tuple[Json, Json]] = {}
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(call: str) -> None:
            bill = self._bills[call]
            async with gate:
                for _ in range(QUIET_TRIES):
                    paid = await self._web.get(f"/calls/{call}/billing", bill.payer)
                    if paid["settled"]:
                        break
                    await asyncio.sleep(QUIET_S)
                got = await self._web.get(f"/calls/{call}/billing", bill.payee)
                found[call] = (paid, got)

        await asyncio.gather(*map(one, calls))
        return found

    async def _entries(self, calls: Iterable[str]) -> None:
        """Each call is in its payer's wallet once for each posting, and with its total in all."""
        by_payer: defaultdict[str, set[str]] = defaultdict(set)
        for call in calls:
            by_payer[self._bills[call].payer.user_id].add(call)
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(user_id: str, wanted: set[str]) -> None:
            sums: Counter[str] = Counter()
            async with gate:
                for page in range(PAGES_MAX):
                    path = f"/wallet/entries?limit={PAGE}&offset={page * PAGE}&direction=debit"
                    found = await self._web.get(path, self._users[user_id])
                    for entry in found["items"]:
                        sums[str(entry["ref"])] -= entry["amount"]
                    if (page + 1) * PAGE >= found["total"]:
                        break
                else:
                    return  # Older ones than these are of other runs, and ours may be among them.
            for call in wanted:
                total = self._bills[call].total
                if total is not None and sums[call] != total:
                    self._blame(f"call {call}: told {total}, and the wallet's entries {sums[call]}")

        await asyncio.gather(*(one(user, wanted) for user, wanted in by_payer.items()))

    async def _quiet(self) -> None:
        """Nobody is in a call any more, by their history."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(login: Login) -> None:
            async with gate:
                answer = await self._web.get("/calls?limit=1", login)
            for call in answer["items"]:
                if call["state"] != "ended":
                    self._blame(f"call {call['id']} of user {login.user_id} is still live")

        await asyncio.gather(*map(one, self._users.values()))

    async def _wallets(self, spent: Counter[str], earned: Counter[str] | None) -> None:
        for _ in range(QUIET_TRIES):
            after = await self._purses()
            if not any(purse.held for purse in after.values()):
                break
            await asyncio.sleep(QUIET_S)
        for user_id, purse in after.items():
            before = self._before[user_id]
            due = before.spending + self._topped[user_id] - spent[user_id]
            if purse.held:
                self._blame(f"user {user_id}: {purse.held} is still set aside")
            if purse.spending != due:
                self._blame(
                    f"user {user_id} has {purse.spending}, and by what was told {due}: "
                    f"{before.spending} + {self._topped[user_id]} - {spent[user_id]}"
                )
            if earned is not None and purse.earned - before.earned != earned[user_id]:
                self._blame(
                    f"user {user_id} earned {purse.earned - before.earned}, "
                    f"and by the receipts {earned[user_id]}"
                )

    async def _purses(self) -> dict[str, Purse]:
        found: dict[str, Purse] = {}
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(login: Login) -> None:
            async with gate:
                answer = await self._web.get("/wallets", login)
            found[login.user_id] = purse_of(answer["items"])

        await asyncio.gather(*map(one, self._users.values()))
        return found

    def _blame(self, text: str) -> None:
        self._meter.blame(Violation("books", text, "ledger"))


def purse_of(wallets: Iterable[Json]) -> Purse:
    spending = held = earned = 0
    for wallet in wallets:
        if wallet["type"] in ("call_credits", "bonus"):
            spending += wallet["balance"]
            held += wallet["held"]
        elif wallet["type"].startswith("earnings_"):
            earned += wallet["balance"]
    return Purse(spending, held, earned)
