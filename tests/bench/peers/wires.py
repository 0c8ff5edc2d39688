"""What others speak over their WebSockets, as far as a relayed call needs it."""

import asyncio

from tests.bench.line import READY_S, Line
from tests.bench.relayed import PAYLOAD, RelayPair, RelayWay, Words, data_of, words

_PEERJS_PATH = "/peerjs?key=peerjs&id=%s&token=bench"
_WS_PATH = "/?id=%s"
_SOCKETIO_PATH = "/socket.io/?EIO=4&transport=websocket"


def peerjs_message(to: bytes, frame: bytes) -> bytes:
    """Of a type that PeerJS passes on; which of them makes no difference to it."""
    return b'{"type":"CANDIDATE","dst":"%b","payload":%b}' % (to, data_of(frame))


def socketio_message(frame: bytes) -> bytes:
    """Engine.IO's message (4) with Socket.IO's event (2)."""
    return b'42["m",%b]' % data_of(frame)


def is_peerjs_message(frame: bytes) -> bool:
    return frame.startswith(b'{"type":"CANDIDATE"')


def is_socketio_message(frame: bytes) -> bool:
    return frame.startswith(b"42")


async def peerjs_pair(host: str, port: int, number: int) -> RelayPair:
    """Registered both: PeerJS does it before it reads what comes after the upgrade."""
    return await _named_pair(host, port, _PEERJS_PATH, number)


async def ws_pair(host: str, port: int, number: int) -> RelayPair:
    """Of the relay on node's `ws`, which speaks as PeerJS does."""
    return await _named_pair(host, port, _WS_PATH, number)


async def peerjs_ways(host: str, port: int, number: int) -> tuple[RelayWay, RelayWay]:
    names = _names(number)
    one, other = [await Line.open(host, port, _PEERJS_PATH % name) for name in names]
    to_one, to_other = (peerjs_message(name.encode(), PAYLOAD) for name in names)
    return (
        RelayWay(one, other, message=to_other, is_message=is_peerjs_message),
        RelayWay(other, one, message=to_one, is_message=is_peerjs_message),
    )


async def _named_pair(host: str, port: int, path: str, number: int) -> RelayPair:
    names = _names(number)
    caller, callee = [await Line.open(host, port, path % name) for name in names]
    to_caller, to_callee = (_peerjs_words(name.encode()) for name in names)
    return RelayPair(
        caller, callee, to_callee=to_callee, to_caller=to_caller, is_message=is_peerjs_message
    )


def _names(number: int) -> tuple[str, str]:
    return f"a{number}", f"b{number}"


def _peerjs_words(to: bytes) -> Words:
    return words(lambda frame: peerjs_message(to, frame))


async def socketio_pair(host: str, port: int, number: int) -> RelayPair:
    caller, callee = [await _socketio_line(host, port, number) for _ in range(2)]
    sent = words(socketio_message)
    return RelayPair(caller, callee, to_callee=sent, to_caller=sent, is_message=is_socketio_message)


async def _socketio_line(host: str, port: int, number: int) -> Line:
    """A socket whose connection to the namespace was confirmed."""
    line = await Line.open(host, port, _SOCKETIO_PATH)
    confirmed = asyncio.get_running_loop().create_future()

    def took(frame: bytes) -> None:
        if frame.startswith(b"40") and not confirmed.done():
            confirmed.set_result(None)

    line.on_frame = took
    line.send(b'40{"pair":%d}' % number)
    async with asyncio.timeout(READY_S):
        await confirmed
    return line
