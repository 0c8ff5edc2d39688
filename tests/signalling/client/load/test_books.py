"""What the ledger says against what was told: each difference is found."""

import copy
from random import Random
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web

from signalling.client.load.books import Books, Purse, RestFailed, Web, purse_of
from signalling.client.load.checks import Told, Witness
from signalling.client.load.device import Login, Meter, Pair
from signalling.client.load.drive import Generator, Sockets
from signalling.client.load.measure import Violation
from signalling.client.load.plan import Plan, Step
from storage.pool import connect
from tests.signalling.client.load.conftest import Town

Json = dict[str, Any]
ANN, KAI = Login("ann", "token"), Login("kai", "token")
CALL = "01900000-0000-7000-8000-00000000000a"
FINAL = {"total": 240, "units": 2, "settled": True}


class Side:
    def __init__(self, login: Login, role: str, final: Json | None) -> None:
        self.login = login
        self.witness = Witness(role, lambda _: None)
        told = self.witness.calls[CALL] = Told()
        told.role, told.final = role, final


class Called:
    call = CALL

    def __init__(self, caller: Side, callee: Side) -> None:
        self.caller = caller
        self.callee = callee
        self.rung = callee.login


def wallet(kind: str, balance: int, held: int = 0) -> Json:
    return {"type": kind, "balance": balance, "held": held}


class Ledger(Web):
    """Answers of a server whose books are right, until a test makes them wrong."""

    def __init__(self, meter: Meter) -> None:
        super().__init__(meter, "http://127.0.0.1:9")
        self.wallets: dict[str, list[Json]] = {
            "ann": [wallet("call_credits", 1_000), wallet("primary", 7)],
            "kai": [wallet("call_credits", 0), wallet("earnings_available", 5)],
        }
        receipt: Json = {
            "settled": True,
            "totalCharged": 240,
            "units": 2,
            "billingUnits": [{"chargedPoints": 120}, {"chargedPoints": 120}],
        }
        self.receipts = {"ann": receipt, "kai": {**receipt, "earned": 168}}
        self.state = "ended"
        self.entries = [{"ref": CALL, "amount": -120}, {"ref": CALL, "amount": -120}]

    def talk(self) -> None:
        """A call of two units is held and settled."""
        self.wallets["ann"][0]["balance"] -= 240
        self.wallets["kai"][1]["balance"] += 168

    async def get(self, path: str, login: Login) -> Json:
        if path == "/wallets":
            return {"items": copy.deepcopy(self.wallets[login.user_id])}
        if path.endswith("/billing"):
            return self.receipts[login.user_id]
        if path.startswith("/calls"):
            return {"items": [{"id": CALL, "state": self.state}]}
        return {"items": self.entries, "total": len(self.entries)}


class Run:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("signalling.client.load.books.QUIET_S", 0)
        self.meter = Meter()
        self.ledger = Ledger(self.meter)
        self.books = Books(self.meter, self.ledger, [Pair(ANN, KAI)], Random(1))
        self.told: tuple[Json | None, Json | None] = (FINAL, FINAL)
        self.caller_role = "caller"

    async def blamed(self) -> list[str]:
        await self.books.open()
        self.ledger.talk()
        first, second = self.told
        side = Side(ANN, self.caller_role, first)
        self.books.note(Called(side, Side(KAI, "callee", second)))
        await self.books.close()
        assert {each.rule for each in self.meter.tally.violations} <= {"books"}
        return [each.text for each in self.meter.tally.violations]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(monkeypatch)


async def test_books_that_say_what_was_told_are_good(run: Run) -> None:
    assert await run.blamed() == []
    tally = run.meter.tally
    assert (tally.billed, tally.compared, tally.charged_minor) == (1, 1, 240)


async def test_what_nobody_was_told_is_taken_from_the_receipt(run: Run) -> None:
    run.told = (None, {**FINAL, "settled": True})
    assert await run.blamed() == []
    run.told = (None, None)
    assert await run.blamed() == []


async def test_a_top_up_is_counted(run: Run) -> None:
    run.books.topped_up("ann", 500)
    blamed = await run.blamed()
    assert len(blamed) == 1
    assert "1000 + 500 - 240" in blamed[0]


async def test_each_difference_is_found(run: Run) -> None:
    run.told = (FINAL, {**FINAL, "total": 120, "units": 1})
    run.ledger.receipts["ann"] = {**run.ledger.receipts["ann"], "totalCharged": 360, "units": 3}
    run.ledger.receipts["kai"] = {**run.ledger.receipts["kai"], "earned": 999}
    run.ledger.entries.pop()
    run.ledger.wallets["ann"].append(wallet("bonus", 0, held=120))
    blamed = "\n".join(await run.blamed())
    for text in (
        "one side was told",
        "the receipt has 360 for 3",
        "its units add up to 240 of 360",
        "payer and payee see different totals",
        "earned 999 of 360",
        "the wallet's entries 120",
        "120 is still set aside",
        "user kai earned 168, and by the receipts 999",
    ):
        assert text in blamed


async def test_a_wallet_that_lost_a_coin_is_found(run: Run) -> None:
    talk = run.ledger.talk

    def talk_and_lose() -> None:
        talk()
        run.ledger.wallets["ann"][0]["balance"] -= 1

    run.ledger.talk = talk_and_lose  # type: ignore[method-assign]
    assert await run.blamed() == ["user ann has 759, and by what was told 760: 1000 + 0 - 240"]


async def test_a_call_that_is_not_settled_is_found(run: Run) -> None:
    run.ledger.receipts["ann"] = {**run.ledger.receipts["ann"], "settled": False}
    assert f"call {CALL} is not settled" in await run.blamed()


async def test_a_call_that_is_still_live_is_found(run: Run) -> None:
    run.ledger.state = "connected"
    assert await run.blamed() == [
        f"call {CALL} of user {name} is still live" for name in ("ann", "kai")
    ]


async def test_after_a_glare_the_other_side_may_be_the_payer(run: Run) -> None:
    run.caller_role = "callee"
    blamed = "\n".join(await run.blamed())
    assert "user ann has 760, and by what was told 1000" in blamed


def test_a_purse_is_what_pays_for_calls_and_what_was_earned() -> None:
    wallets = [
        *(wallet("call_credits", 10, 2), wallet("bonus", 5, 1), wallet("primary", 99)),
        *(wallet("earnings_pending", 3), wallet("earnings_available", 4)),
    ]
    assert purse_of(wallets) == Purse(15, 3, 7)


async def test_the_rest_side_tells_refusals_and_waits_when_it_is_too_fast() -> None:
    asked: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.path)
        if request.path == "/twice" and asked.count("/twice") == 1:
            return web.json_response({}, status=429, headers={"Retry-After": "0"})
        if request.path == "/no":
            return web.json_response({"error": "FORBIDDEN"}, status=403)
        if request.path == "/odd":
            return web.Response(text="<html>", status=502)
        return web.json_response({"token": request.headers["Authorization"]})

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    meter = Meter()
    url = "ws://{}:{}/ws".format(*runner.addresses[0][:2])
    async with Web(meter, url) as rest:
        assert await rest.get("/twice", ANN) == {"token": "Bearer token"}
        assert meter.tally.errors == {"rest": {"RATE_LIMITED": 1}}
        for path, code in (("/no", "FORBIDDEN"), ("/odd", "http_502")):
            with pytest.raises(RestFailed) as failed:
                await rest.get(path, ANN)
            assert failed.value.code == code
        await runner.cleanup()
        with pytest.raises(RestFailed, match="ClientConnectorError"):
            await rest.get("/gone", ANN)


async def test_a_coin_taken_behind_the_back_of_the_users_is_found(town: Town) -> None:
    pairs = await town.pairs(1)
    plan = Plan(scenarios={"answered": 1}, calls=1)
    found: list[Violation] = []
    load = Generator(town.url, pairs, plan, lambda tally: found.extend(tally.violations), Sockets)
    await load.start()
    await load.run(Step(0, 0, 1))
    conn = await connect(town.dsn)
    await conn.execute("set session_replication_role = replica")
    await conn.execute(
        "update account set posted = posted - 1 where owner = $1 and kind = 'call_credits'",
        UUID(pairs[0].caller.user_id),
    )
    await conn.close()
    await load.finish()
    await load.close()
    assert [each.rule for each in found] == ["books"]
    assert pairs[0].caller.user_id in found[0].text
