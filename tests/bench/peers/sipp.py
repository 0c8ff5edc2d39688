"""SIPp as both phones of calls: INVITE, 180, 200, ACK, BYE and its 200, without any SDP."""

import asyncio
import contextlib
import csv
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from tests.bench.children import READY_S, ROOT, finished, stop

HOST = "127.0.0.1"
# Few enough that none is waited for until a phone repeats itself (500 ms).
AT_ONCE = 32
RUN_MAX_S = 25
MESSAGES_A_CALL = 6

_SCENARIO = """<?xml version="1.0" encoding="UTF-8"?>
<scenario name="{name}">
{steps}
</scenario>
"""
_VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]"
_FROM = "From: <sip:mia@[local_ip]:[local_port]>;tag=[pid]a[call_number]"
_TO = "To: <sip:kai@[remote_ip]:[remote_port]>"
_CONTACT = "Contact: <sip:[local_ip]:[local_port]>"


def _message(*lines: str) -> str:
    return "<![CDATA[\n" + "\n".join((*lines, "Content-Length: 0")) + "\n\n]]>"


def _request(method: str, number: int, uri: str, *more: str) -> str:
    # Of a new call there is no tag of the callee yet, and no route.
    tag, repeat = "" if method == "INVITE" else "[peer_tag_param]", "" if method == "ACK" else 500
    head = (f"{method} {uri} SIP/2.0", _VIA, *more, "Max-Forwards: 70", _FROM, _TO + tag)
    sent = _message(*head, "Call-ID: [call_id]", f"CSeq: {number} {method}", _CONTACT)
    return f'<send retrans="{repeat}">{sent}</send>' if repeat else f"<send>{sent}</send>"


def _answer(status: str, *, first: bool, repeat: bool = False) -> str:
    """To the INVITE (`first`) with a tag of the callee, or to the BYE."""
    tag = ";tag=[pid]b[call_number]" if first else ""
    routes = ("[last_Record-Route:]",) if first else ()
    sent = _message(
        f"SIP/2.0 {status}",
        *("[last_Via:]", *routes, "[last_From:]", f"[last_To:]{tag}"),
        *("[last_Call-ID:]", "[last_CSeq:]", _CONTACT),
    )
    return f'<send retrans="500">{sent}</send>' if repeat else f"<send>{sent}</send>"


CALLER = _SCENARIO.format(
    name="caller",
    steps="\n".join(
        (
            _request("INVITE", 1, "sip:kai@[remote_ip]:[remote_port]"),
            '<recv response="100" optional="true"/>',
            '<recv response="180"/>',
            '<recv response="200" rrs="true"/>',
            _request("ACK", 1, "[next_url]", "[routes]"),
            _request("BYE", 2, "[next_url]", "[routes]"),
            '<recv response="200"/>',
        )
    ),
)
CALLEE = _SCENARIO.format(
    name="callee",
    steps="\n".join(
        (
            '<recv request="INVITE"/>',
            _answer("180 Ringing", first=True),
            _answer("200 OK", first=True, repeat=True),
            '<recv request="ACK"/>',
            '<recv request="BYE"/>',
            _answer("200 OK", first=False),
        )
    ),
)


class Called(msgspec.Struct, frozen=True):
    """What the caller's SIPp counted. `repeated` are messages that it had to send again."""

    done: int
    failed: int
    repeated: int


def free_port() -> int:
    """One of UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port


@contextlib.asynccontextmanager
async def callee(directory: Path) -> AsyncIterator[int]:
    """A SIPp that takes every call; the port where it does.

    Raises:
        RuntimeError: it ended at once.
    """
    port, scenario = free_port(), directory / "callee.xml"
    scenario.write_text(CALLEE)
    with (directory / "callee.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *_sipp(scenario, port),
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        async with asyncio.timeout(READY_S):
            while not _is_bound(port):
                if process.returncode is not None:
                    raise RuntimeError(f"sipp ended with {process.returncode}")
                await asyncio.sleep(0.01)
        yield port
    finally:
        await stop(process)


def _is_bound(port: int) -> bool:
    """Whether somebody has this port of UDP; to try it would keep it from him (Linux)."""
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return any(line.split()[1].endswith(f":{port:04X}") for line in lines)


async def call(directory: Path, to: int, over: int, *, calls: int) -> Called:
    """So many calls to the callee's port by way of the proxy's, some at once, as fast as can be.

    Raises:
        RuntimeError: SIPp counted nothing; with what it said.
    """
    scenario, counts = directory / "caller.xml", directory / "caller.csv"
    scenario.write_text(CALLER)
    counts.unlink(missing_ok=True)
    code, said = await finished(
        *(*_sipp(scenario, free_port()), f"{HOST}:{to}", "-rsa", f"{HOST}:{over}"),
        *("-users", str(min(calls, AT_ONCE)), "-m", str(calls)),
        *("-timeout", f"{RUN_MAX_S}s", "-trace_stat", "-stf", str(counts), "-fd", "1"),
        max_s=RUN_MAX_S + 10,
    )
    if not counts.exists():
        raise RuntimeError(f"sipp ended with {code}: {said.strip()[-500:]}")
    return counted(counts.read_text())


def counted(text: str) -> Called:
    """The last line of its statistics, which counts from the beginning."""
    *_, last = csv.DictReader(text.splitlines(), delimiter=";")
    done, failed = int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"])
    return Called(done, failed, int(last["Retransmissions(C)"]))


def _sipp(scenario: Path, port: int) -> tuple[str, ...]:
    own = ("-i", HOST, "-p", str(port), "-nostdin")
    return (shutil.which("sipp") or "", "-sf", str(scenario), *own)
