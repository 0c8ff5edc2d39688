"""Small processes in the place of servers, for the tests of those who start them."""

from __future__ import annotations

import asyncio
import os
import sys

from server.worker import Worker

READY = "import os, signal; os.write(int(os.environ['TALKTIME_READY_FD']), b'3'); signal.pause()"
NEVER_READY = "import signal; signal.pause()"
FAULTY = "raise SystemExit(3)"
# Ready, and deaf to SIGTERM.
STUBBORN = (
    "import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "os.write(int(os.environ['TALKTIME_READY_FD']), b'0')\n"
    "while True: signal.pause()"
)
# Ready the first time, as it leaves the file `MARK` behind.
READY_ONCE = (
    "import os, signal\n"
    "os.close(os.open(os.environ['MARK'], os.O_CREAT | os.O_EXCL))\n"
    "os.write(int(os.environ['TALKTIME_READY_FD']), b'0'); signal.pause()"
)


class StandIn(Worker):
    """`starts` has what came of each start, and the process."""

    def __init__(self, script: str, name: str = "main-1", **environment: str) -> None:
        # Quick to start: no site packages.
        command = [sys.executable, "-I", "-S", "-c", script]
        super().__init__(name, command, environment)
        self.starts: asyncio.Queue[tuple[bool, int | None]] = asyncio.Queue()

    async def start(self) -> bool:
        ready = await super().start()
        self.starts.put_nowait((ready, self.pid))
        return ready


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def lives(pid: int | None) -> bool:
    assert pid is not None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
