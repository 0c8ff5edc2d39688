import io
from typing import Any

import pytest
from rich.console import Console

from server.station import failed, told
from signalling.client.envelope import CommandRefused, Event

TICK = {"unit": 2, "charged": 120, "total": 240}


@pytest.mark.parametrize(
    ("kind", "data", "line"),
    [
        ("call_ringing", {}, "ringing"),
        ("call_accepted", {"elsewhere": True}, "answered on another device"),
        ("call_connected", {"resumed": True}, "talking again"),
        ("call_tick", {**TICK, "status": "ok"}, "unit 2: 120 charged, 240 in all"),
        (
            "call_tick",
            {**TICK, "status": "last", "balance": 0},
            "unit 2: 120 charged, 240 in all, balance 0 (last)",
        ),
        ("balance_low", {"secondsLeft": 60}, "money for 60 s is left"),
        ("media_state", {"hold": False, "audio": False}, "the other side is muted"),
        ("call_ended", {"reason": "hangup", "by": "caller"}, "ended: hangup by caller"),
        ("presence_updated", {}, ""),
    ],
)
def test_each_event_is_told_in_one_line(kind: str, data: dict[str, Any], line: str) -> None:
    assert told(Event(kind, data)) == line


def test_a_failure_is_printed_with_its_figures_and_exits_non_zero() -> None:
    out = io.StringIO()
    refused = CommandRefused(
        "insufficient_funds", "Too little.", None, {"required": 120, "available": 100}
    )
    assert failed(Console(file=out, width=200), refused) == 1
    assert "insufficient_funds: Too little.  required 120, available 100" in out.getvalue()
