"""The whole log of a run with log-ins, a call and a chat: ids everywhere, secrets nowhere."""

import io
import logging
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import orjson
import pytest
import structlog

from server import logs
from tests.end_to_end.conftest import FastServer
from tests.end_to_end.driver import PASSWORD, connect_call

PHONE, CODE, ADDRESS = "+819012345678", "483920", "203.0.113.77"
CHAT, WISH = "meet me at the pier at noon", "a note for the callee alone"
SDP = f"v=0\r\no=- 1 2 IN IP4 {ADDRESS}\r\ns=-\r\na=ice-pwd:hushhushhushhush\r\n"
CANDIDATE = f"candidate:1 1 udp 2122260223 {ADDRESS} 40001 typ host"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Everything that is logged from here on, as production writes it, at the finest level."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    kept = io.StringIO()
    logs.configure(level="debug", form="json", stream=kept)
    yield kept
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


async def test_the_log_of_a_run_holds_ids_and_nothing_private(
    stream: io.StringIO, fast: FastServer
) -> None:
    site = fast.site
    mail = f"{uuid4().hex}@people.example"
    account = {"name": "Ada", "email": mail, "password": "pass-word-1"}
    async with site.http.post(f"{site.url}/auth/signup", json=account) as answer:
        ada = await answer.json()
        assert answer.status == 201, ada
    wrong = {"phone": PHONE, "password": CODE, "code": CODE}
    async with site.http.post(f"{site.url}/auth/login", json=wrong) as answer:
        assert answer.status == 400
    async with site.http.post(f"{site.url}/otp/send", json={"phone": PHONE}) as answer:
        sent = await answer.json()
        assert answer.status == 200, sent
    async with site.http.get(f"{site.url}/ready?token={ada['accessToken']}") as answer:
        assert answer.status == 400
    async with site.http.post(
        f"{site.url}/auth/refresh", json={"refreshToken": ada["refreshToken"]}
    ) as answer:
        again = await answer.json()
        assert answer.status == 200, again

    mia = await site.login("mia@demo.talktime")
    caller = await site.device(mia, "phone")
    callee = await site.device(await site.login("kai@demo.talktime"), "desk")
    call = await connect_call(caller, callee, note=WISH)
    await caller.ok("signal", call, kind="offer", gen=1, sdp=SDP)
    candidate = {"candidate": CANDIDATE, "sdpMid": "0"}
    await caller.ok("signal", call, kind="candidates", gen=1, candidates=[candidate])
    await caller.ok("chat_send", conversation=call, text=CHAT)
    await caller.command("call_request", toPhone=PHONE)
    await caller.send(type="chat_send", id="x", data={"conversation": 7, "text": CHAT})
    await caller.ok("call_end", call)
    await callee.event("call_ended")

    said = stream.getvalue()
    private = (
        PHONE[1:], ADDRESS, CHAT, WISH, SDP[:9], "hushhush", mail, PASSWORD, "pass-word-1",
        *(each[name] for each in (ada, again, mia) for name in ("accessToken", "refreshToken")),
    )  # fmt: skip
    assert [each for each in private if each in said] == []
    for code in (CODE, sent["devCode"]):  # As a word: six digits may be part of a time.
        assert not re.search(rf"(?<![\w.]){code}(?!\w)", said)

    lines = lines_of(stream)
    requests = [line for line in lines if line["event"] == "request"]
    assert len(requests) >= 6
    assert all(line["request_id"] for line in requests)
    (ended,) = [line for line in lines if line["event"] == "call ended"]
    assert (ended["call_id"], ended["reason"], ended["by"]) == (call, "hangup", "caller")
    assert (ended["units"], ended["charged_minor"], ended["settled"]) == (1, 120, True)
    assert ended["talk_s"] >= 0
