"""`--peers`: the same calls through relays of others, each where what it needs is there."""

import asyncio
import json
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from tests.bench.children import Child, child, finished
from tests.bench.environment import commit
from tests.bench.lab import Lab
from tests.bench.peers.built import (
    HERE,
    Unavailable,
    build_floor,
    build_uwebsockets,
    compiler_version,
)
from tests.bench.peers.wires import peerjs_pair, peerjs_ways, socketio_pair, ws_pair
from tests.bench.ratios import FLOOR, PEERJS, RATE, SOCKETIO, UWEBSOCKETS, WS
from tests.bench.relay import at_rate, measure_at
from tests.bench.relayed import RelayPair, RelayWay, measure_relayed, path_pair, path_ways

PACKAGES = (HERE / "package.json").read_text()
INSTALL_MAX_S = 120
COMMIT_CHARS = 10
# Of packages nothing is run at the installation.
INSTALL = ("install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error")

Program = tuple[str, ...]


class Peer(msgspec.Struct, frozen=True):
    """`program` makes it in a directory for all of them, and raises Unavailable where it cannot.

    `open_ways` is for those whose latency is measured too.
    """

    program: Callable[[Lab, Path], Awaitable[Program]]
    open_pair: Callable[[str, int, int], Awaitable[RelayPair]]
    open_ways: Callable[[str, int, int], Awaitable[tuple[RelayWay, RelayWay]]] | None = None


async def bench_peers(lab: Lab) -> None:
    """Their servers relay, and do nothing else."""
    home = lab.directory / "peers"
    home.mkdir(exist_ok=True)
    for name, peer in PEERS.items():
        try:
            program = await peer.program(lab, home)
        except Unavailable as reason:
            print(f"  {name} is left out: {reason}", file=sys.stderr, flush=True)
            continue
        log = lab.directory / f"{name}.log"
        settings = {"NODE_ENV": "production"}
        async with child(log=log, settings=settings, pin=lab.pin, program=program) as server:
            await _calls(lab, server, name, peer)
        if peer.open_ways is not None:
            async with child(log=log, settings=settings, pin=lab.pin, program=program) as server:
                ways: list[RelayWay] = []
                for number in range(lab.pick(300, 60)):
                    ways += await peer.open_ways(server.host, server.port, number)
                # node compiles what it has seen often; its first messages take milliseconds.
                await at_rate(ways, RATE, lab.seconds(1))
                await measure_at(lab, server, ways, RATE, name)


async def _calls(lab: Lab, server: Child, name: str, peer: Peer) -> None:
    pairs = [
        await peer.open_pair(server.host, server.port, number)
        for number in range(lab.pick(1_000, 40))
    ]
    await measure_relayed(lab, server, pairs, name)
    for pair in pairs:
        pair.close()


async def _floor(lab: Lab, home: Path) -> Program:
    program = await build_floor(home)
    lab.report.versions["cc"] = await compiler_version()
    return (str(program),)


async def _uwebsockets(lab: Lab, home: Path) -> Program:
    program = await build_uwebsockets(home, lab.uwebsockets)
    assert lab.uwebsockets is not None
    head = await asyncio.to_thread(commit, lab.uwebsockets)
    if head:
        lab.report.versions[UWEBSOCKETS] = head[:COMMIT_CHARS]
    return (str(program),)


def _node(script: str, name: str, package: str) -> Callable[[Lab, Path], Awaitable[Program]]:
    """The program of a script beside this file that needs a package."""

    async def program(lab: Lab, home: Path) -> Program:
        node = shutil.which("node")
        if node is None:
            raise Unavailable("node was not found")
        await _install(home)
        _, said = await finished(node, "--version", max_s=INSTALL_MAX_S)
        lab.report.versions |= {
            "node": said.strip().removeprefix("v"),
            name: json.loads(PACKAGES)["dependencies"][package],
        }
        return node, str(home / script)

    return program


async def _install(home: Path) -> None:
    """The packages into `home`, once for all runs.

    Raises:
        Unavailable: there is no npm, or it fails.
    """
    if (home / "node_modules").is_dir():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("npm was not found")
    await asyncio.to_thread(_copy, home)
    try:
        code, said = await finished(npm, *INSTALL, cwd=home, max_s=INSTALL_MAX_S)
    except TimeoutError:
        code, said = 1, "it took too long"
    if code:
        shutil.rmtree(home / "node_modules", ignore_errors=True)
        raise Unavailable(f"npm install: {said.strip()[-300:]}")


def _copy(home: Path) -> None:
    for path in (HERE / "package.json", *HERE.glob("*.cjs")):
        shutil.copy(path, home)


PEERS = {
    FLOOR: Peer(_floor, path_pair, path_ways),
    UWEBSOCKETS: Peer(_uwebsockets, path_pair),
    WS: Peer(_node("ws.cjs", WS, "ws"), ws_pair),
    PEERJS: Peer(_node("peerjs.cjs", PEERJS, "peer"), peerjs_pair, peerjs_ways),
    SOCKETIO: Peer(_node("socketio.cjs", SOCKETIO, "socket.io"), socketio_pair),
}
