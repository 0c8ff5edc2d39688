"""What a server costs before any call: idle devices, a balance by REST, its start."""

import asyncio
import os
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.children import ROOT, Child, child
from tests.bench.exposed import longest_s, read_metrics
from tests.bench.lab import SETTINGS, Lab, Login, own_cpu_s
from tests.bench.line import Getter, connect_all
from tests.bench.ratios import BALANCES, add_balance_ratio
from tests.bench.relay import PHASE_MAX_S

GETTERS = 16
_BALANCE = b"GET /wallet/balance HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %b\r\n\r\n"
# Python keeps what it has compiled, as it does wherever people start the server.
KEEP = {"PYTHONDONTWRITEBYTECODE": ""}
IMPORT = (
    "import time; t = time.perf_counter(); import server.app; d = time.perf_counter() - t; "
    "import sys; print(round(d * 1000, 1), 'aiortc' in sys.modules)"
)


async def bench_idle(lab: Lab) -> None:
    """Authenticated devices that do nothing, all our state of them included."""
    dsn = await lab.dsn()
    count = lab.pick(lab.idle, min(lab.idle, 200))
    logins = await lab.people(dsn, count + 1)
    async with lab.server(dsn) as server:
        first = await connect_all(server.host, server.port, logins[:1])
        await asyncio.sleep(0.2)
        exposed = await read_metrics(server.host, server.port)
        before, cpu_s, began_s = server.rss_bytes, server.cpu_s, time.perf_counter()
        lines = await connect_all(server.host, server.port, logins[1:])
        spent_s, cpu_s = time.perf_counter() - began_s, server.cpu_s - cpu_s
        await asyncio.sleep(1.2)
        used = (server.rss_bytes - before) / count / 1_024
        lab.report.add("idle devices", count, "sockets")
        lab.report.add("memory of one", used, "KiB", "≤ 20")
        bare = lab.report.value("machine", "idle bare aiohttp socket")
        if bare:
            lab.report.add("memory to bare aiohttp", used / bare, "×")
        lab.report.add("connect and authenticate", count / spent_s, "/s")
        lab.report.add("the same, server CPU", cpu_s / count * 1e6, "µs")
        cpu_s, seconds = server.cpu_s, lab.seconds(5)
        await asyncio.sleep(seconds)
        share = (server.cpu_s - cpu_s) / seconds * 100
        lab.report.add("server CPU with all of them idle", share, "%")
        after = await read_metrics(server.host, server.port)
        for what in ("gc_pause", "event_loop_lag"):
            longest_ms = longest_s(exposed, after, f"talktime_{what}_seconds") * 1_000
            lab.report.add(f"longest {what} since the first, at most", longest_ms, "ms", "≤ 50")
        dropped = sum(line.closed for line in lines)
        lab.report.add("dropped", dropped, "sockets", "0")
        for line in first + lines:
            line.close()


class _Asking:
    """Connections that ask the same; `full` asks again at once until then, `even` at a rate."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.getters: list[Getter] = []
        self._idle: list[Getter] = []
        self._asked: dict[Getter, float] = {}
        self._all_idle = asyncio.Event()
        self._until_s = 0.0

    async def connect(self, host: str, port: int, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        _, getter = await loop.create_connection(lambda: Getter(request, self._done), host, port)
        self.getters.append(getter)
        self._idle.append(getter)

    async def full(self, seconds: float) -> None:
        self._until_s = time.perf_counter() + seconds
        while self._idle:
            self._ask()
        await self._rest()

    async def even(self, rate: float, seconds: float) -> None:
        began_s, sent = time.perf_counter(), 0
        self._until_s = 0.0
        while (spent_s := time.perf_counter() - began_s) < seconds:
            while sent < int(spent_s * rate) and self._idle:
                self._ask()
                sent += 1
            await asyncio.sleep(0.001)
        await self._rest()

    async def _rest(self) -> None:
        async with asyncio.timeout(PHASE_MAX_S):
            while len(self._idle) < len(self.getters):
                self._all_idle.clear()
                await self._all_idle.wait()

    def _ask(self) -> None:
        getter = self._idle.pop()
        self._asked[getter] = time.perf_counter()
        getter.ask()

    def _done(self, getter: Getter) -> None:
        now_s = time.perf_counter()
        self.times.append((now_s - self._asked[getter]) * 1_000)
        self._idle.append(getter)
        if now_s < self._until_s:
            self._ask()
        elif len(self._idle) == len(self.getters):
            self._all_idle.set()


async def bench_rest(lab: Lab) -> None:
    """`GET /wallet/balance`: token, query, JSON; at full load, then at half of that."""
    dsn = await lab.dsn()
    logins = await lab.people(dsn, GETTERS)
    async with lab.server(dsn) as server:
        await measure_balance(lab, server, logins, targets=("≥ 7 500", "≤ 130", "p99 ≤ 5"))
    add_balance_ratio(lab.report)


async def measure_balance(
    lab: Lab, server: Child, logins: Sequence[Login], *, targets: tuple[str, str, str]
) -> None:
    """`targets`: answers for a CPU-second, the CPU of one, and how long one takes at half load."""
    asking, report, seconds = _Asking(), lab.report, lab.seconds(4)
    for login in logins:
        await asking.connect(server.host, server.port, _BALANCE % login.token.encode())
    await asking.full(0.5)
    asking.times.clear()
    cpu_s, began_s, own_s = server.cpu_s, time.perf_counter(), own_cpu_s()
    await asking.full(seconds)
    count = len(asking.times)
    rate = count / (time.perf_counter() - began_s)
    cpu_s = max(0.01, server.cpu_s - cpu_s)
    report.add("full load", rate, "/s")
    report.add(BALANCES, count / cpu_s, "/CPU-s", targets[0])
    report.add("full load, CPU", cpu_s / count * 1e6, "µs", targets[1])
    report.add("full load, client CPU", (own_cpu_s() - own_s) / count * 1e6, "µs")
    report.times("full load", asking.times)
    asking.times.clear()
    await asking.even(rate / 2, seconds)
    report.times("half load", asking.times, targets[2])
    failed = sum(getter.failed for getter in asking.getters)
    report.add("not answered with 200", failed, "", "0")
    for getter in asking.getters:
        getter.close()


async def bench_start(lab: Lab) -> None:
    """With the embedded PostgreSQL, from nothing and once more; and what an import takes."""
    directory = lab.directory / f"start-{secrets.token_hex(4)}"
    directory.mkdir(mode=0o711)
    settings = {**SETTINGS, **KEEP, "TALKTIME_DATA_DIR": str(directory), "DATABASE_URL": ""}
    for name, target in (("first start", "≤ 3"), ("second start", "≤ 1.5")):
        began_s = time.perf_counter()
        command = ("server", "serve", "--dev", "--port", "0")
        async with child(*command, log=directory / "log", settings=settings) as server:
            lab.report.add(f"{name} to ready", time.perf_counter() - began_s, "s", target)
            lab.report.add(f"{name}, server RSS", server.rss_bytes / 2**20, "MiB")
    took: list[float] = []
    aiortc = False
    for _ in range(lab.pick(5, 2)):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", IMPORT),
            cwd=Path(ROOT),
            env={**os.environ, **KEEP},
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        shown, loaded = out.split()
        took.append(float(shown))
        aiortc = aiortc or loaded == b"True"
    lab.report.add("import of server.app", min(took), "ms")
    lab.report.add("it imports aiortc", aiortc, "", "0")
