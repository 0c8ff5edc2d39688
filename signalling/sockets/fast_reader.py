"""Text frames from aiohttp's parser straight to a plain function.

`await ws.receive()` costs a queue entry, a future and a task wake-up per frame. Here aiohttp's own
parser is given a data queue that hands text, binary, ping and pong to a `Sink` at once; all else
(close, errors, end of stream) takes aiohttp's road, so the handler still ends by `receive()`.

This leans on names inside aiohttp. `usable()` tries them once with a real frame; if anything is not
as expected, `make_response` gives aiohttp's public class and the endpoint reads with `receive()`.
"""

import asyncio
import inspect
import logging
from functools import cache
from typing import Any, Protocol

from aiohttp import WebSocketError, WSMsgType, web

log = logging.getLogger(__name__)

try:
    from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader
except ImportError:  # Not the aiohttp this was written for; `usable()` will say no.
    WebSocketDataQueue = WebSocketReader = object  # type: ignore[assignment]

Response = web.WebSocketResponse[Any]
_DIRECT = frozenset({WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG})


class Sink(Protocol):
    """Where frames go. Nothing here may raise or wait."""

    def on_frame(self, raw: bytes) -> None: ...

    def on_message(self, kind: WSMsgType, data: Any) -> bool: ...

    def on_fault(self, code: int) -> None: ...


def make_response(*, fast: bool = True, **options: Any) -> Response:
    """A WebSocket response. If it is a `FastResponse`, set `sink` when frames may flow."""
    options["decode_text"] = False
    return FastResponse(**options) if fast and usable() else web.WebSocketResponse(**options)


class FastQueue(WebSocketDataQueue):
    """`sink` None: everything is queued as aiohttp would."""

    sink: Sink | None = None

    def feed_data(self, data: Any, size: int) -> None:
        sink = self.sink
        # What came before the sink must be read before what comes now.
        if sink is None or self._buffer:
            super().feed_data(data, size)
            return
        kind = data[0]
        try:
            if kind is WSMsgType.TEXT:
                sink.on_frame(data[1])
            elif kind in _DIRECT:
                sink.on_message(kind, data[1])
            else:
                # Nothing counts after a close frame.
                self.sink = None
                super().feed_data(data, size)
        except Exception:
            # The compiled parser would swallow it.
            log.exception("a frame was not handled")
            sink.on_fault(1011)

    def set_exception(self, exc: BaseException, *cause: Any) -> None:
        if self.sink is not None and isinstance(exc, WebSocketError):
            # aiohttp would close the transport at once, and the reset that follows what is
            # still unread would overtake our close frame. The sink waits for the peer.
            self.sink.on_fault(exc.code)
            return
        super().set_exception(exc, *cause)


class FastResponse(web.WebSocketResponse[Any]):
    """As its base, with `FastQueue` between the parser and `receive()`."""

    _reader: Any

    @property
    def sink(self) -> Sink | None:
        sink: Sink | None = self._reader.sink
        return sink

    @sink.setter
    def sink(self, sink: Sink | None) -> None:
        self._reader.sink = sink

    def _post_start(self, request: Any, protocol: Any, writer: Any) -> None:
        self._ws_protocol = protocol
        self._writer = writer
        loop = asyncio.get_running_loop()
        self._reader = FastQueue(request._protocol, self._max_msg_size // 2, loop=loop)
        self._parser = WebSocketReader(
            self._reader, self._max_msg_size, compress=False, decode_text=False
        )
        request.protocol.set_parser(self._parser)
        request.protocol.keep_alive(False)


@cache
def usable() -> bool:
    """Whether aiohttp's inside is as this file expects it."""
    try:
        return _probe()
    except Exception:
        log.warning("the fast reader does not fit this aiohttp; using its public reader")
        return False


class _Probe:
    """A sink and a protocol at once, to try the parser without a socket."""

    _reading_paused = False

    def __init__(self) -> None:
        self.seen: list[object] = []

    def on_frame(self, raw: bytes) -> None:
        self.seen.append(raw)

    def on_message(self, kind: WSMsgType, data: Any) -> bool:
        self.seen.append((kind, bytes(data)))
        return True

    def on_fault(self, code: int) -> None:
        self.seen.append(code)


def _probe() -> bool:
    response = web.WebSocketResponse
    if list(inspect.signature(response._post_start).parameters) != [
        "self",
        "request",
        "protocol",
        "writer",
    ]:
        return False
    made = response(max_msg_size=5, decode_text=False, compress=False)
    if not all(
        hasattr(made, name)
        for name in ("_reader", "_parser", "_writer", "_ws_protocol", "_max_msg_size")
    ):
        return False
    if not all(hasattr(web.RequestHandler, name) for name in ("set_parser", "keep_alive")):
        return False
    probe = _Probe()
    loop: Any = None  # Only `read()` needs it.
    queue = FastQueue(probe, 1024, loop=loop)  # type: ignore[arg-type]
    parser = WebSocketReader(queue, 5, compress=False, decode_text=False)
    parser.feed_data(b"\x81\x82\0\0\0\0hi")
    if probe.seen or len(queue._buffer) != 1:
        return False
    queue._buffer.clear()
    queue.sink = probe
    parser.feed_data(b"\x81\x82\0\0\0\0ho\x89\x81\0\0\0\0!")
    parser.feed_data(b"\x81\x85\0\0\0\0large")
    return probe.seen == [b"ho", (WSMsgType.PING, b"!"), 1009] and not queue._buffer
