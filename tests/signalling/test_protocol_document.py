"""PROTOCOL.md and the code say the same: names, numbers, and the frames of its example."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

import signalling
from signalling import commands, events
from signalling.codes import By, Close, Code, Party, Reason, State
from signalling.commands import Command
from signalling.frames import decode_data, decode_frame
from signalling.limits import CallLimits, SocketLimits
from tests.signalling.shapes import fault_of

TEXT = Path(signalling.__path__[0], "PROTOCOL.md").read_text()
BLOCKS = re.findall(r"^```\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
PROSE = re.sub(r"^```\n.*?^```$", "", TEXT, flags=re.DOTALL | re.MULTILINE)
QUOTED = {word for span in re.findall(r"`([^`\n]+)`", PROSE) for word in re.findall(r"\w+", span)}
FRAME = re.compile(r"^(Ann|Kai) ([<>]) (\{.*\})$", re.MULTILINE)
EXAMPLE = [match for block in BLOCKS for match in FRAME.findall(block)]


def row(name: str, header: str) -> str:
    """The line of `name` in the table that begins with `header`."""
    table = PROSE[PROSE.index(header) :].split("\n\n")[0]
    found = [line for line in table.splitlines() if line.startswith(f"| `{name}` |")]
    assert len(found) == 1, f"{name} has one row below {header!r}"
    return found[0]


def quoted(text: str) -> set[str]:
    return {word for span in re.findall(r"`([^`]+)`", text) for word in re.findall(r"\w+", span)}


def names(struct: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(struct)}


def structs(base: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    """The structs of the socket's wire below a base; REST answers share one, elsewhere."""
    below = [each for child in base.__subclasses__() for each in (child, *structs(child))]
    return [each for each in below if each.__module__ == base.__module__]


@pytest.mark.parametrize("name", commands.DATA)
def test_every_command_has_its_row_with_all_its_fields(name: str) -> None:
    line = row(name, "| Type | | Data |")
    if name != "hello":
        assert names(commands.DATA[name]) - quoted(line) == set()


@pytest.mark.parametrize("event", events.EVENTS, ids=lambda event: str(event.TYPE))
def test_every_event_has_its_row_with_all_its_fields(event: type[events.Event]) -> None:
    line = row(event.TYPE, "| Type | When |")
    if event is not events.Welcome:
        assert names(event) - quoted(line) == set()


def test_no_row_tells_of_a_command_or_an_event_that_does_not_exist() -> None:
    for header, known in (
        ("| Type | | Data |", set(commands.DATA)),
        ("| Type | When |", {event.TYPE for event in events.EVENTS} | {"signal"}),
    ):
        table = PROSE[PROSE.index(header) :].split("\n\n")[0]
        rows = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
        assert sorted(rows) == sorted(known)


@pytest.mark.parametrize("base", [Command, events.Shape])
def test_every_field_of_every_struct_is_named(base: type[msgspec.Struct]) -> None:
    missing = {f"{each.__name__}.{name}" for each in structs(base) for name in names(each) - QUOTED}
    assert missing == set()


@pytest.mark.parametrize("words", [Code, Reason, State, By, Party])
def test_every_word_of_the_wire_is_named(words: Any) -> None:
    assert {word.value for word in words} - QUOTED == set()


def test_every_error_has_its_row() -> None:
    for code in Code:
        row(code.value, "| Code | Meaning |")


def test_every_close_code_says_whether_to_come_back() -> None:
    table = PROSE[PROSE.index("## 15. Close codes") :].split("## 16.")[0]
    for code in Close:
        [line] = [line for line in table.splitlines() if line.startswith(f"| {code.value} |")]
        advice = line.split("|")[3]
        assert ("reconnect" in advice) == (code < 4_400 or code is Close.TOKEN_EXPIRED), line


def test_sizes_are_those_of_the_code() -> None:
    call, socket = CallLimits(), SocketLimits()
    for size in (
        call.buffered_bytes_max,
        call.sdp_bytes_max,
        call.candidate_bytes_max,
        socket.frame_bytes_max,
        socket.hello_bytes_max,
        socket.send_queue_bytes_max,
    ):
        assert f"{size:,}".replace(",", " ") in PROSE


def test_times_of_the_states_are_those_of_the_code() -> None:
    limits = CallLimits()
    table = PROSE[PROSE.index("| In | What happens |") :].split("\n\n")[0]
    for start, time_ms in (
        ("| – | `call_request` passes", limits.reach_ms),
        ("| requested | the first `call_ringing`", limits.ring_ms),
        ("| requested, ringing | the first `call_accept`", limits.connect_ms),
        ("| requested, ringing | `call_end` by the caller", limits.caller_gone_ms),
        ("| connected | a leg's socket is lost", limits.grace_ms),
        ("| connected | a leg's socket is lost", limits.evidence_ms),
        ("| reconnecting | 30 s; or", limits.grace_budget_ms),
    ):
        [line] = [line for line in table.splitlines() if line.startswith(start)]
        assert f"{time_ms // 1_000} s" in line


def test_the_example_is_a_whole_call() -> None:
    types = [msgspec.json.decode(frame)["type"] for _, _, frame in EXAMPLE]
    assert types[0] == "hello"
    assert {"call_incoming", "call_connected", "call_tick", "signal", "call_ended"} <= set(types)


@pytest.mark.parametrize("line", [line for line in EXAMPLE if line[1] == ">"])
def test_what_the_apps_send_in_the_example_is_understood(line: tuple[str, str, str]) -> None:
    decode_data(decode_frame(line[2].encode()))


@pytest.mark.parametrize("line", [line for line in EXAMPLE if line[1] == "<"])
def test_what_the_server_sends_in_the_example_is_what_it_sends(line: tuple[str, str, str]) -> None:
    assert fault_of(msgspec.json.decode(line[2])) is None


def test_numbers_in_the_example_have_no_gap() -> None:
    for name in ("Ann", "Kai"):
        came = [
            msgspec.json.decode(frame) for who, way, frame in EXAMPLE if (who, way) == (name, "<")
        ]
        seqs = [frame["seq"] for frame in came if "seq" in frame]
        assert seqs == list(range(1, len(seqs) + 1))
        revs = [frame["rev"] for frame in came if "rev" in frame]
        assert revs == list(range(revs[0], revs[0] + len(revs)))


def test_links_lead_to_sections_that_exist() -> None:
    sections = {
        re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-")
        for title in re.findall(r"^## (.*)$", TEXT, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= sections
