"""The document of the socket: complete, without dangling references, with examples that decode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from signalling.asyncapi import ANSWERS, COMMANDS, UNANSWERED, build_asyncapi
from signalling.codes import Close, Code
from signalling.commands import DATA
from signalling.events import EVENTS, Empty
from signalling.frames import decode_data, decode_frame
from signalling.handlers.table import TABLE


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return build_asyncapi(version="1.2.3")


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from nodes(each)
    elif isinstance(value, list):
        for each in value:
            yield from nodes(each)


def resolve(document: dict[str, Any], ref: str) -> Any:
    found: Any = document
    for part in ref.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_it_says_what_it_is(document: dict[str, Any]) -> None:
    assert document["asyncapi"] == "3.0.0"
    assert document["info"]["version"] == "1.2.3"
    assert document["channels"]["socket"]["address"] == "/ws"


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    refs = [node["$ref"] for node in nodes(document) if "$ref" in node]
    assert refs
    for ref in refs:
        assert resolve(document, ref)


def test_every_command_is_an_operation_that_the_server_receives(document: dict[str, Any]) -> None:
    operations = document["operations"]
    assert set(operations) == {*DATA, "events"} == {*COMMANDS, "events"}
    assert all(operations[name]["action"] == "receive" for name in DATA)
    assert operations["events"]["action"] == "send"


def test_answers_are_those_of_commands_that_are_answered() -> None:
    assert set(ANSWERS) <= set(DATA) - UNANSWERED
    assert set(TABLE) >= set(ANSWERS)


def test_examples_of_commands_are_frames_that_the_server_takes(document: dict[str, Any]) -> None:
    for name in DATA:
        [example] = document["components"]["messages"][f"command_{name}"]["examples"]
        frame = decode_frame(msgspec.json.encode(example["payload"]))
        assert frame.type == name
        decode_data(frame)


def test_examples_of_events_and_answers_decode(document: dict[str, Any]) -> None:
    messages = document["components"]["messages"]
    for shape in EVENTS:
        [example] = messages[f"event_{shape.TYPE}"]["examples"]
        msgspec.convert(example["payload"]["data"], shape)
    for name, answer in {**ANSWERS, "": Empty}.items():
        [example] = messages[f"ok_{name}" if name else "ok"]["examples"]
        msgspec.convert(example["payload"]["data"], answer)


def test_codes_are_listed(document: dict[str, Any]) -> None:
    error = document["components"]["messages"]["error"]["payload"]["properties"]["data"]
    assert error["properties"]["code"]["enum"] == [code.value for code in Code]
    assert {each["code"]: each["reconnect"] for each in document["x-close-codes"]} == {
        int(code): code < Close.UNAUTHORIZED for code in Close
    }
