import io

from rich.console import Console

from signalling.client.load.collect import Collector
from signalling.client.load.measure import Tally, Violation
from signalling.client.load.screen import LINE_EVERY, Screen, bars, line, view


def collector() -> Collector:
    made = Collector()
    made.begin("run", 10)
    tally = Tally(started=2, done=2, users=4)
    tally.note("ring", 5)
    tally.blame(Violation("rev", "", "phone"))
    made.add(0, tally)
    return made


def test_without_a_terminal_there_is_a_line_now_and_then_and_at_each_new_stage() -> None:
    out = io.StringIO()
    made = collector()
    with Screen(Console(file=out)) as screen:
        for _ in range(LINE_EVERY + 1):
            screen.show(made.tick(), made)
        made.begin("books")
        screen.show(made.tick(), made)
    lines = out.getvalue().splitlines()
    assert [text.split()[2] for text in lines] == ["run", "run", "books"]
    assert "ring p50 5.0" in lines[0]
    assert "\x1b" not in out.getvalue()


def test_in_a_terminal_it_is_a_live_view() -> None:
    out = io.StringIO()
    made = collector()
    with Screen(Console(file=out, force_terminal=True, width=100)) as screen:
        screen.show(made.tick(), made)
    assert "\x1b" in out.getvalue()
    assert "broken promises: 1" in out.getvalue()
    plain = io.StringIO()
    with Screen(Console(file=plain, force_terminal=True, width=100), plain=True) as screen:
        screen.show(made.tick(), made)
    assert len(plain.getvalue().splitlines()) == 1


def test_the_view_has_rates_and_percentiles() -> None:
    console = Console(file=io.StringIO(), record=True, width=160)
    made = collector()
    console.print(view(made.tick(), made))
    said = console.export_text()
    for text in ("4 users", "calls/s", "p99", "ring", "5.00", "█"):
        assert text in said


def test_a_line_says_what_was_wanted_and_what_the_server_used() -> None:
    made = collector()
    assert "of 10.0 calls/s" in line(made.tick())
    assert "server" not in line(made.tick())
    watched = Collector([1], cpu_of=lambda _: 0.0)
    assert "server 0%" in line(watched.tick())


def test_bars_are_as_high_as_their_values() -> None:
    assert bars([]) == ""
    assert bars([0, 0]) == "  "
    assert bars([0, 4, 8]) == " ▄█"
    assert len(bars([1.0] * 500)) < 100
