"""Faults of the machine: no memory, no file descriptors, no processor time, no room on the disk."""

import asyncio
import io
import itertools
import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress

import aiohttp
from PIL import Image

from tests.faults.cluster import Cluster
from tests.faults.people import Person
from tests.faults.rows.clients import bystander
from tests.faults.stage import Row, Stage

SQUEEZE_S = 6.0
# Below what is mapped already: every further piece is refused.
SPARE_BYTES = 1 << 20
NEWCOMERS = 200
LARGE = (
    b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 65000\r\n\r\n" + b" " * 64_000
)
FILES_SPARE = 3
STRANGERS = 60
CPU_SHARE_MAX = 0.9
PING_MAX_MS = 3_000.0
STARVE_S = 8.0
RUN_S, STOP_S = 0.01, 0.09
DISK_MB = 8
BALLAST = "ballast"


async def memory(stage: Stage) -> None:
    """Whether it dies of it or goes on with refusals: as after a kill, no half of a write."""
    for number in range(stage.cycles):
        await stage.calm(0.5, 1.5)
        await stage.crowd.busy(3)
        node = stage.node
        spare = (SPARE_BYTES, -(64 << 20))[number % 2]
        with stage.dark():
            node.limit(resource.RLIMIT_AS, node.virtual_bytes + spare)
            failed = node.logged("MemoryError")
            writers = await _press(stage)
            try:
                code = await node.ended(SQUEEZE_S)
            except TimeoutError:
                code = 0
            node.unlimit()
            for writer in writers:
                writer.transport.abort()
            died = not node.running
            failed = node.logged("MemoryError") - failed
            stage.note(f"{failed} MemoryErrors" + (f", ended with {code}" if died else ""))
            if died:
                await node.start()
            await stage.recovered(time.monotonic())
        await stage.cycle_done(f"ended with {code}" if died else "lived on")


async def _press(stage: Stage) -> list[asyncio.StreamWriter]:
    """Newcomers whose requests are large and never whole."""
    writers = []
    for _ in range(NEWCOMERS):
        with suppress(OSError):
            _reader, writer = await asyncio.open_connection(*stage.node.address)
            writer.write(LARGE)
            writers.append(writer)
    return writers


async def files(stage: Stage) -> None:
    """New sockets are refused, old ones go on, and nobody spins."""
    for _ in range(stage.cycles):
        await stage.calm(1.0, 2.0)
        node, connects = stage.node, stage.crowd.connects
        node.limit(resource.RLIMIT_NOFILE, node.files + FILES_SPARE)
        cpu_s, began_s = node.cpu_s, time.monotonic()
        strangers = asyncio.gather(*(_stranger(stage) for _ in range(STRANGERS)))
        slowest_ms = await bystander(stage, began_s + SQUEEZE_S)
        refused = sum(await strangers)
        share = (node.cpu_s - cpu_s) / (time.monotonic() - began_s)
        node.unlimit()
        what = f"{refused} of {STRANGERS} refused, slowest {slowest_ms:.0f} ms, CPU {share:.0%}"
        stage.note(what)
        if not refused:
            stage.violated("every new socket was taken, without descriptors")
        if share > CPU_SHARE_MAX:
            stage.violated(f"the node used {share:.0%} of a processor while it had no descriptors")
        if slowest_ms > PING_MAX_MS:
            stage.violated(f"an old socket waited {slowest_ms:.0f} ms")
        if stage.crowd.connects > connects:
            stage.violated(f"{stage.crowd.connects - connects} old sockets were lost")
        await stage.recovered(time.monotonic())
        await stage.cycle_done(what)


async def _stranger(stage: Stage) -> bool:
    """Whether somebody new was turned away, rather than kept waiting."""
    writer = None
    try:
        async with asyncio.timeout(SQUEEZE_S):
            reader, writer = await asyncio.open_connection(*stage.node.address)
            writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            said = await reader.read(64)
            if said:
                await asyncio.sleep(SQUEEZE_S)  # Keeps its descriptor.
            return not said or b" 503 " in said
    except OSError:
        return True
    except TimeoutError:
        return False
    finally:
        if writer is not None:
            writer.transport.abort()


async def starve(stage: Stage) -> None:
    """A tenth of a processor, in slices of 10 ms: late, and nobody is taken for dead."""
    for _ in range(stage.cycles):
        await stage.calm(1.0, 2.0)
        node = stage.node
        dead, connects = node.logged('"code":4001'), stage.crowd.connects
        # Frozen for moments only: no reason to tell anybody anything anew.
        deaths = list(node.deaths)
        until_s = time.monotonic() + STARVE_S
        with stage.dark():
            try:
                while time.monotonic() < until_s:
                    node.pause()
                    await asyncio.sleep(STOP_S)
                    node.resume()
                    await asyncio.sleep(RUN_S)
            finally:
                node.resume()
                node.deaths = deaths
            await stage.recovered(time.monotonic())
        dead = node.logged('"code":4001') - dead
        if dead:
            stage.violated(f"{dead} sockets were taken for dead by a node that was late itself")
        await stage.cycle_done(f"{stage.crowd.connects - connects} connected anew")


# -- the disk


def _needs_root() -> str:
    return "" if os.geteuid() == 0 else "needs root (a small tmpfs)"


async def prepare_disk(cluster: Cluster) -> None:
    """Uploads and the log of the node on a small disk of their own."""
    node = cluster.nodes[0]
    disk = cluster.directory / "small"
    disk.mkdir()
    await asyncio.to_thread(
        subprocess.run,
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(disk)],
        check=True,
    )
    node.settings["TALKTIME_DATA_DIR"] = str(disk / "data")
    node.log = disk / "node.log"


async def clean_disk(cluster: Cluster) -> None:
    for node in cluster.nodes:
        await node.close()  # It has files open there.
    await asyncio.to_thread(subprocess.run, ["umount", str(cluster.directory / "small")])


@contextmanager
def _filled(cluster: Cluster) -> Iterator[None]:
    ballast = cluster.directory / "small" / BALLAST
    with ballast.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 12))
    try:
        yield
    finally:
        ballast.unlink()


async def disk(stage: Stage) -> None:
    """No room for pictures and none for the log: calls and money do not notice."""
    made = io.BytesIO()
    Image.effect_noise((128, 128), 80).convert("RGB").save(made, "PNG")
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        for pair in itertools.islice(itertools.cycle(stage.crowd.pairs), stage.cycles):
            await stage.calm(0.5, 1.5)
            refusals, connects = dict(stage.crowd.refusals), stage.crowd.connects
            who = pair.people[0]  # Another one each time: pictures of one account are limited.
            with _filled(stage.cluster):
                status = await _upload(stage, http, who, made.getvalue())
                slowest_ms = await bystander(stage, time.monotonic() + SQUEEZE_S)
            if status not in (503, 507):
                stage.violated(f"an upload onto a full disk was answered with {status}")
            if slowest_ms > PING_MAX_MS or stage.crowd.connects > connects:
                stage.violated(f"the full disk was felt by calls ({slowest_ms:.0f} ms)")
            if dict(stage.crowd.refusals).get("internal") != refusals.get("internal"):
                stage.violated("commands failed for want of room")
            after = await _upload(stage, http, who, made.getvalue())
            if after != 200:
                stage.violated(f"an upload after there was room again was answered with {after}")
            await stage.recovered(time.monotonic())
            await stage.cycle_done(f"upload {status}, slowest answer {slowest_ms:.0f} ms")


async def _upload(stage: Stage, http: aiohttp.ClientSession, who: Person, picture: bytes) -> int:
    form = aiohttp.FormData()
    form.add_field("avatar", picture, filename="me.png", content_type="image/png")
    headers = {"Authorization": f"Bearer {who.token()}"}
    async with http.put(f"{stage.node.url}/user/avatar", data=form, headers=headers) as answer:
        await answer.read()
        return answer.status


ROWS = (
    Row(
        name="memory",
        fault="F4",
        how="RLIMIT_AS at, and below, what the process has mapped, for 6 s; 200 large requests",
        checks="it refuses or dies, and no write is left half done",
        run=memory,
        cycles=4,
        quick=2,
    ),
    Row(
        name="files",
        fault="F6",
        how=f"RLIMIT_NOFILE {FILES_SPARE} above what is open, {STRANGERS} newcomers, 6 s",
        checks="newcomers are turned away, nobody loses a socket, less than 90 % of a CPU",
        run=files,
        cycles=3,
    ),
    Row(
        name="starved",
        fault="F34",
        how="a tenth of a processor for 8 s (SIGSTOP 90 ms, SIGCONT 10 ms)",
        checks="nobody is closed 4001",
        run=starve,
        cycles=3,
        pairs=12,
    ),
    Row(
        name="disk",
        fault="F33",
        how=f"uploads and the log on a tmpfs of {DISK_MB} MB, filled for 6 s",
        checks="an upload is refused, and taken again after it; answers below 3 s; no socket lost",
        run=disk,
        cycles=3,
        absent=_needs_root,
        prepare=prepare_disk,
        clean=clean_disk,
    ),
)
