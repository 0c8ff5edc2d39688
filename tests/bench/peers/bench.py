"""`--peers`: the same calls through PeerJS and Socket.IO, where node and npm are there."""

import asyncio
import json
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.bench.children import child, finished
from tests.bench.lab import Lab
from tests.bench.peers.wires import peerjs_pair, socketio_pair
from tests.bench.relayed import RelayPair, measure_relayed

HERE = Path(__file__).parent
PACKAGES = (HERE / "package.json").read_text()
INSTALL_MAX_S = 120
# Of packages nothing is run at the installation.
INSTALL = ("install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error")

Open = Callable[[str, int, int], Awaitable[RelayPair]]
PEERS: dict[str, tuple[str, Open]] = {
    "PeerJS": ("peerjs.cjs", peerjs_pair),
    "Socket.IO": ("socketio.cjs", socketio_pair),
}


async def bench_peers(lab: Lab) -> None:
    """Their servers relay, and do nothing else."""
    node, home = shutil.which("node"), lab.directory / "peers"
    missing = await _install(home) if node else "node was not found"
    if node is None or missing:
        print(f"  peers are left out: {missing}", file=sys.stderr, flush=True)
        return
    lab.report.versions |= await _versions(node)
    for name, (script, open_pair) in PEERS.items():
        program = (node, str(home / script))
        log = lab.directory / f"{script}.log"
        settings = {"NODE_ENV": "production"}
        async with child(log=log, settings=settings, pin=lab.pin, program=program) as server:
            pairs = [
                await open_pair(server.host, server.port, number)
                for number in range(lab.pick(1_000, 40))
            ]
            await measure_relayed(lab, server, pairs, name)
            for pair in pairs:
                pair.close()


async def _install(home: Path) -> str:
    """The packages into `home`, once a run; why that cannot be, or ""."""
    npm = shutil.which("npm")
    if npm is None:
        return "npm was not found"
    if (home / "node_modules").is_dir():
        return ""
    await asyncio.to_thread(_copy, home)
    try:
        code, said = await finished(npm, *INSTALL, cwd=home, max_s=INSTALL_MAX_S)
    except TimeoutError:
        code, said = 1, "it took too long"
    if code:
        shutil.rmtree(home / "node_modules", ignore_errors=True)
        return f"npm install: {said.strip()[-300:]}"
    return ""


async def _versions(node: str) -> dict[str, str]:
    _, said = await finished(node, "--version", max_s=INSTALL_MAX_S)
    wanted = json.loads(PACKAGES)["dependencies"]
    return {
        "node": said.strip().removeprefix("v"),
        "PeerJS": wanted["peer"],
        "Socket.IO": wanted["socket.io"],
    }


def _copy(home: Path) -> None:
    home.mkdir(exist_ok=True)
    for path in (HERE / "package.json", *HERE.glob("*.cjs")):
        shutil.copy(path, home)
