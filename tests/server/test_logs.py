from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import structlog

from server.logs import bound, configure, get_logger


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the lines go; the logging of the test run is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield io.StringIO()
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_has_event_level_logger_time_and_values(stream: io.StringIO) -> None:
    configure(level="info", form="json", stream=stream)
    get_logger("server.app").info("started", port=8080, path=object)
    (line,) = lines(stream)
    assert line["event"] == "started"
    assert (line["level"], line["logger"], line["port"]) == ("info", "server.app", 8080)
    assert line["timestamp"].endswith("Z")


def test_loggers_of_libraries_go_the_same_way(stream: io.StringIO) -> None:
    configure(level="info", form="json", stream=stream)
    with bound(request_id="r1"):
        logging.getLogger("aiohttp.server").error("broken %s", "pipe", extra={"peer": "x"})
    (line,) = lines(stream)
    assert line["event"] == "broken pipe"
    assert (line["logger"], line["request_id"], line["peer"]) == ("aiohttp.server", "r1", "x")


def test_levels_below_ours_are_dropped(stream: io.StringIO) -> None:
    configure(level="warning", form="json", stream=stream)
    get_logger("a").info("no")
    logging.getLogger("b").info("no")
    get_logger("a").warning("yes")
    assert [line["event"] for line in lines(stream)] == ["yes"]


def test_exceptions_become_data_without_the_values_of_variables(stream: io.StringIO) -> None:
    configure(level="info", form="json", stream=stream)
    hidden = "the value of a variable"
    try:
        try:
            raise KeyError(len(hidden))
        except KeyError as error:
            raise ValueError("why") from error
    except ValueError:
        get_logger("a").exception("failed")
        logging.getLogger("b").exception("failed too")
    first, second = lines(stream)
    for line in (first, second):
        outer, cause = line["exception"]
        assert (outer["exc_type"], outer["exc_value"]) == ("ValueError", "why")
        assert cause["exc_type"] == "KeyError"
        (frame,) = outer["frames"]
        assert frame["name"] == "test_exceptions_become_data_without_the_values_of_variables"
    assert hidden not in stream.getvalue()


@pytest.mark.parametrize("form", ["json", "text"])
def test_texts_of_libraries_are_scrubbed(stream: io.StringIO, form: str) -> None:
    configure(level="info", form=form, stream=stream)
    try:
        raise ValueError("DETAIL:  Key (phone)=(+819012345678) already exists.")
    except ValueError:
        logging.getLogger("asyncpg").exception("of %s", "ann@example.org")
    get_logger("a").info("sms_sent", to="+819012345678")
    assert "ann@" not in stream.getvalue()
    assert "1234" not in stream.getvalue()
    assert "+81…78" in stream.getvalue()


def test_a_bad_token_leaves_no_traceback(stream: io.StringIO) -> None:
    configure(level="debug", form="json", stream=stream)
    logging.getLogger("aiohttp_jwt.middleware").critical("Signature verification failed")
    assert lines(stream) == []


async def test_ids_bound_in_one_task_do_not_show_in_another(stream: io.StringIO) -> None:
    configure(level="info", form="json", stream=stream)
    both_inside = asyncio.Barrier(2)

    async def work(call_id: str) -> None:
        with bound(call_id=call_id):
            await both_inside.wait()
            get_logger("a").info(call_id)
        get_logger("a").info("outside")

    await asyncio.gather(work("c1"), work("c2"))
    found = {(line["event"], line.get("call_id")) for line in lines(stream)}
    assert found == {("c1", "c1"), ("c2", "c2"), ("outside", None)}


def test_text_is_for_people_and_without_colours_in_a_file(stream: io.StringIO) -> None:
    configure(level="info", form="text", stream=stream)
    get_logger("a").info("started", port=8080)
    assert "started" in stream.getvalue()
    assert "port=8080" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
