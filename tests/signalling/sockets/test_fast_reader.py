import asyncio

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from aiohttp._websocket.reader import WebSocketReader
from aiohttp.base_protocol import BaseProtocol

from signalling.sockets import fast_reader
from signalling.sockets.fast_reader import FastQueue, FastResponse, make_response, usable


def test_the_inside_of_this_aiohttp_is_as_expected() -> None:
    """When this fails after an upgrade the server still works, by aiohttp's public reader: read
    the new `_websocket/reader_py.py` and `web_ws.py` and mend `fast_reader.py`."""
    assert aiohttp.__version__.startswith("3.14.")
    usable.cache_clear()
    assert usable()
    assert isinstance(make_response(compress=False), FastResponse)


class Sink:
    def __init__(self) -> None:
        self.faults: list[int] = []

    def on_frame(self, raw: bytes) -> None:
        raise RuntimeError("this sink is broken")

    def on_message(self, kind: WSMsgType, data: object) -> bool:
        return True

    def on_fault(self, code: int) -> None:
        self.faults.append(code)


def make_queue() -> FastQueue:
    loop = asyncio.get_running_loop()
    return FastQueue(BaseProtocol(loop), 1024, loop=loop)


def make_parser(queue: FastQueue) -> WebSocketReader:
    return WebSocketReader(queue, 100, compress=False, decode_text=False)


async def test_a_fault_in_the_sink_is_logged_and_ends_the_socket(
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = make_queue()
    queue.sink = sink = Sink()
    make_parser(queue).feed_data(b"\x81\x82\0\0\0\0hi")
    assert sink.faults == [1011]
    assert "a frame was not handled" in caplog.text


async def test_what_is_no_fault_of_the_peer_takes_the_road_of_aiohttp() -> None:
    queue = make_queue()
    queue.sink = sink = Sink()
    queue.set_exception(ConnectionResetError())
    assert sink.faults == []
    with pytest.raises(ConnectionResetError):
        await queue.read()


async def test_frames_wait_behind_those_that_came_before_the_sink() -> None:
    queue = make_queue()
    parser = make_parser(queue)
    parser.feed_data(b"\x81\x81\0\0\0\x001")
    queue.sink = sink = Sink()
    parser.feed_data(b"\x81\x81\0\0\0\x002")
    assert [(await queue.read()).data, (await queue.read()).data] == [b"1", b"2"]
    assert sink.faults == []


def test_the_public_reader_can_be_asked_for() -> None:
    assert type(make_response(fast=False)) is web.WebSocketResponse


@pytest.mark.parametrize("missing", ["WebSocketReader", "FastQueue"])
def test_an_unknown_aiohttp_falls_back_to_the_public_reader(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_reader, missing, object)
    usable.cache_clear()
    assert not usable()
    assert type(make_response()) is web.WebSocketResponse
    usable.cache_clear()


def test_another_signature_falls_back_to_the_public_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web.WebSocketResponse, "_post_start", lambda self, request: None)
    usable.cache_clear()
    assert not usable()
    usable.cache_clear()
