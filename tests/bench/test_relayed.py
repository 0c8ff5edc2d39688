"""The messages of a call through a relay, in both manners."""

from pathlib import Path

import pytest

from tests.bench.calls import run_calls
from tests.bench.children import child
from tests.bench.line import Line
from tests.bench.pairs import ACCEPT, CANDIDATE, END, ID_EXAMPLE, REQUEST
from tests.bench.ratios import add_ratios
from tests.bench.relayed import MESSAGES_A_CALL, RelayPair, data_of, words
from tests.bench.report import Report

CALLS = 3


@pytest.mark.parametrize("burst", [False, True])
async def test_every_call_is_twenty_five_messages(tmp_path: Path, burst: bool) -> None:
    passed: list[bytes] = []

    def count(frame: bytes) -> bool:
        passed.append(frame)
        return True

    async with child("tests.bench.bare", log=tmp_path / "log", settings={}) as server:
        sockets = [await Line.open(server.host, server.port, "/relay/one") for _ in range(2)]
        said = words()
        pair = RelayPair(*sockets, to_callee=said, to_caller=said, is_message=count)
        pair.burst = burst
        tally = await run_calls([pair], CALLS, concurrency=1)
        pair.close()
    assert (tally.done, dict(tally.errors)) == (CALLS, {})
    assert len(passed) == CALLS * MESSAGES_A_CALL == CALLS * 25
    assert passed.count(CANDIDATE % ID_EXAMPLE) == CALLS * 20


async def test_what_the_relay_itself_says_is_no_message(tmp_path: Path) -> None:
    async with child("tests.bench.bare", log=tmp_path / "log", settings={}) as server:
        sockets = [await Line.open(server.host, server.port, "/relay/one") for _ in range(2)]
        said = words()
        pair = RelayPair(
            *sockets,
            to_callee=said,
            to_caller=said,
            is_message=lambda frame: not frame.startswith(b"0"),
        )
        sockets[0].send(b"0{}")
        tally = await run_calls([pair], 1, concurrency=1)
        pair.close()
    assert tally.done == 1


def test_a_frame_is_taken_out_of_our_envelope() -> None:
    assert data_of(REQUEST % (1, ID_EXAMPLE)) == b'{"toUserId":"%b"}' % ID_EXAMPLE
    assert data_of(ACCEPT % (1, ID_EXAMPLE)) == data_of(END % (1, ID_EXAMPLE)) == b"{}"
    assert data_of(CANDIDATE % ID_EXAMPLE).startswith(b'{"kind":"candidates"')


def test_ratios_are_of_what_this_run_has_measured() -> None:
    report = Report()
    report.begin_run()
    for bench, name, value in (
        ("machine", "bare aiohttp, full load: calls per CPU-second", 4_000),
        ("calls", "full load: calls per CPU-second", 1_000),
        ("calls", "full load, bursts: calls per CPU-second", 1_000),
    ):
        report.bench = bench
        report.add(name, value, "calls/CPU-s")
    add_ratios(report)
    *_, ratio = report.figures
    assert len(report.figures) == 4
    assert (ratio.name, ratio.median, ratio.unit) == (
        "full load: our whole paid call ÷ bare relay by aiohttp",
        0.25,
        "× the rate",
    )
