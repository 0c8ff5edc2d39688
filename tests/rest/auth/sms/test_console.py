from __future__ import annotations

import io
import logging

import pytest
from msgspec.structs import replace

from rest.auth.sms.console import ConsoleSms
from tests.rest.auth.sms.companies import MESSAGE


async def test_a_message_is_on_the_terminal_and_in_no_log(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await ConsoleSms().send(MESSAGE)
    assert capsys.readouterr().out == f"SMS to +12025550123: {MESSAGE.text}\n"
    assert MESSAGE.text not in caplog.text


async def test_the_last_fifty_messages_are_kept() -> None:
    sms = ConsoleSms(io.StringIO())
    for n in range(60):
        await sms.send(replace(MESSAGE, text=str(n)))
    await sms.close()
    assert [each.text for each in sms.sent] == [str(n) for n in range(10, 60)]
