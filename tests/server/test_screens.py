import io
from typing import Any

from rich.console import Console, RenderableType

from server.screens import (
    Board,
    CallScreen,
    Side,
    clock,
    live_view,
    plain_line,
    receipt_view,
    seconds_left,
    size,
    talked_ms,
)
from signalling.client.link import PeerStats
from signalling.client.view import CallView

SIDES = [
    Side("Mia", "caller", PeerStats(5_000, 900, 50, 49), 0.2, 660, "balance 880"),
    Side("Kai [x]", "callee", PeerStats(4_000, 900, 40, 39)),
]
BILL: dict[str, Any] = {
    "currency": "PTS",
    "billingUnits": [{"minute": 0, "chargedPoints": 120, "timestamp": "2026-01-02T03:04:05.006Z"}],
    "totalCharged": 120,
    "billedSeconds": 60,
    "units": 1,
    "settled": True,
}
CALL: dict[str, Any] = {
    "reason": "hangup",
    "by": "caller",
    "startedAt": "2026-01-02T03:04:05.006Z",
    "endedAt": "2026-01-02T03:04:35.506Z",
}


def connected(**changed: Any) -> CallView:
    call = CallView("c1", "caller", state="connected", connected_at=1_000, units=1, total=120)
    call.tariff = {"pricePerMinute": 120, "currency": "PTS", "name": "minute"}
    for name, value in changed.items():
        setattr(call, name, value)
    return call


def text_of(view: RenderableType) -> str:
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(view)
    return console.export_text()


def test_the_live_view_shows_state_time_media_and_money_of_both_sides() -> None:
    text = text_of(live_view(Board(connected(funded_until=91_000), SIDES, 31_000, "h hang up")))
    for part in ("connected", "0:30", "120 PTS/min", "funded for 1:00", "5.0 kB", "660 Hz"):
        assert part in text
    assert "balance 880" in text
    assert "Kai [x]" in text
    assert "h hang up" in text


def test_a_plain_line_says_the_same_without_a_table() -> None:
    line = plain_line(Board(connected(), SIDES, 31_000))
    assert line.startswith("connected 0:30 | Mia: 50 packets in, 49 out, 5.0 kB in")
    assert not line.endswith(", ")


def test_without_a_terminal_lines_come_every_ten_seconds_only() -> None:
    out = io.StringIO()
    with CallScreen(Console(file=out, width=200)) as screen:
        assert screen.plain
        for second in range(1, 26):
            screen.show(Board(connected(), SIDES, second * 1_000 + 1_000))
        screen.say("ended")
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    assert "0:10" in lines[0]
    assert "0:20" in lines[1]
    assert lines[2].endswith("ended")


def test_the_receipt_lists_units_and_shares() -> None:
    text = text_of(receipt_view(BILL, CALL, earned=84))
    for part in ("03:04:05.006", "120 PTS", "talked 30.500 s", "provider earns 84 PTS"):
        assert part in text
    assert "platform 36 PTS" in text
    assert "not settled" not in text
    assert "not settled" in text_of(receipt_view({**BILL, "settled": False}, CALL, earned=None))


def test_a_call_that_never_began_was_talked_for_no_time() -> None:
    assert talked_ms({**CALL, "startedAt": None}) == 0
    assert talked_ms(CALL) == 30_500


def test_money_is_counted_down_only_while_the_meter_runs() -> None:
    assert seconds_left(Board(connected(funded_until=5_000), [], 3_000)) == 2
    assert seconds_left(Board(connected(funded_until=5_000), [], 9_000)) == 0
    waiting = connected(funded_until=5_000, state="reconnecting")
    assert seconds_left(Board(waiting, [], 3_000)) is None


def test_times_and_sizes_are_short() -> None:
    assert (clock(5), clock(65), clock(600)) == ("0:05", "1:05", "10:00")
    assert (size(999), size(1_500)) == ("999 B", "1.5 kB")
