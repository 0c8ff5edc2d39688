"""Kamailio: a stateful SIP proxy with one worker, with or without its accounting rows."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg

from tests.bench.children import READY_S, ROOT, finished, offspring, stop
from tests.bench.peers.sipp import HOST, free_port

PROGRAMS = ("kamailio", "sipp")
INSTALL = "apt install kamailio kamailio-postgres-modules sip-tester"
CHECK_MAX_S = 20.0
ROWS_A_CALL = 2  # Of the INVITE that was answered, and of the BYE.
SHARED_MIB, OWN_MIB = 128, 8
TRY_EVERY_S = 0.05
# How long an answered transaction is kept: Kamailio's default is 5 s.
KEPT_MS = 1_000

_CONFIG = """#!KAMAILIO
debug=0
log_stderror=yes
children=1
disable_tcp=yes
auto_aliases=no
dns=no
rev_dns=no
use_dns_cache=off
listen=udp:{host}:{port}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
{modules}
modparam("tm", "wt_timer", {kept_ms})
request_route {{
    if (method == "OPTIONS") {{
        sl_send_reply("200", "OK");
        exit;
    }}
    if (method == "INVITE") {{
        record_route();
    }} else if (!loose_route()) {{
        sl_send_reply("404", "Not Found");
        exit;
    }}
    {account}
    t_relay();
}}
"""
_MODULES = """loadmodule "db_postgres.so"
loadmodule "acc.so"
modparam("acc", "db_url", "{url}")
modparam("acc", "db_flag", 1)"""
_ACCOUNT = 'if (method == "INVITE" || method == "BYE") { setflag(1); }'
# As `acc` wants it: version 5 of its table, which it looks up.
_TABLES = """
create table version (
    id serial primary key, table_name varchar(32) not null unique, table_version int not null
);
create table acc (
    id serial primary key,
    method varchar(16) not null default '',
    from_tag varchar(128) not null default '',
    to_tag varchar(128) not null default '',
    callid varchar(255) not null default '',
    sip_code varchar(3) not null default '',
    sip_reason varchar(128) not null default '',
    time timestamp not null
);
create index acc_callid_idx on acc (callid);
insert into version (table_name, table_version) values ('acc', 5);
"""


class Kamailio:
    """A running one. `pids` are of all its processes: the first one, the worker, the timers."""

    def __init__(self, port: int, pids: list[int]) -> None:
        self.port = port
        self.pids = pids


def program(name: str) -> str | None:
    """Kamailio is kept where not everybody's PATH leads to."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin")


async def missing(directory: Path) -> str:
    """What keeps it from being measured, in one line; or ""."""
    lacking = [name for name in PROGRAMS if program(name) is None]
    if lacking:
        return f"{' and '.join(lacking)} not found: {INSTALL}"
    path = directory / "kamailio-check.cfg"
    path.write_text(config(free_port(), "postgres://nobody@/none"))
    code, said = await finished(program("kamailio") or "", "-c", "-f", path, max_s=CHECK_MAX_S)
    lines = [line for line in said.splitlines() if "ERROR" in line or "CRITICAL" in line]
    return f"{lines[0] if lines else said[-200:].strip()}: {INSTALL}" if code else ""


def config(port: int, url: str = "") -> str:
    """Its whole configuration; with `url` each call leaves rows in that database."""
    return _CONFIG.format(
        host=HOST,
        port=port,
        kept_ms=KEPT_MS,
        modules=_MODULES.format(url=url) if url else "",
        account=_ACCOUNT if url else "",
    )


def database_of(dsn: str) -> tuple[str, dict[str, str]]:
    """A DSN over a Unix socket as its URL, which has no room for one, and what libpq needs."""
    parts = urlsplit(dsn)
    options = parse_qs(parts.query)
    settings = {"PGHOST": options["host"][0], "PGPORT": options["port"][0]}
    return f"postgres://{parts.username}@{parts.path}", settings


async def make_tables(dsn: str) -> None:
    conn = await asyncpg.connect(dsn)
    try:
        await conn.execute(_TABLES)
    finally:
        await conn.close()


async def rows(dsn: str) -> int:
    conn = await asyncpg.connect(dsn)
    try:
        found = await conn.fetchval("select count(*) from acc")
    finally:
        await conn.close()
    return int(found)


@contextlib.asynccontextmanager
async def kamailio(directory: Path, *, pin: bool, dsn: str = "") -> AsyncIterator[Kamailio]:
    """It runs, and answers; ended with all its processes. With `dsn` it accounts there.

    Raises:
        RuntimeError: it ended, or did not answer; with what it said.
    """
    port, (url, settings) = free_port(), database_of(dsn) if dsn else ("", {})
    path, log = directory / f"kamailio-{port}.cfg", directory / f"kamailio-{port}.log"
    path.write_text(config(port, url))
    memory = ("-m", str(SHARED_MIB), "-M", str(OWN_MIB))
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            program("kamailio") or "",
            *("-DD", "-E", *memory, "-Y", str(directory), "-w", str(directory), "-f", str(path)),
            cwd=ROOT,
            env={**os.environ, **settings},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        if not await asyncio.to_thread(_answers, port, process):
            raise RuntimeError(f"kamailio does not answer: {log.read_text()[-2_000:]}")
        pids = [process.pid, *offspring(process.pid, "kamailio")]
        if pin:
            for pid in pids:
                os.sched_setaffinity(pid, {min(os.sched_getaffinity(pid))})
        yield Kamailio(port, pids)
    finally:
        await stop(process)
        # What a first one that had to be killed would leave behind: all are of its session.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _answers(port: int, process: asyncio.subprocess.Process) -> bool:
    """Whether an OPTIONS is answered before it ends or we give up."""
    until_s = time.monotonic() + READY_S
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.bind((HOST, 0))
        asking.settimeout(TRY_EVERY_S)
        own = f"{HOST}:{asking.getsockname()[1]}"
        ask = (
            f"OPTIONS sip:{HOST}:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKready\r\n"
            f"From: <sip:ready@{own}>;tag=ready\r\nTo: <sip:{HOST}:{port}>\r\nCall-ID: ready\r\n"
            "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
        while process.returncode is None and time.monotonic() < until_s:
            try:
                asking.sendto(ask.encode(), (HOST, port))
                if asking.recv(4_096).startswith(b"SIP/2.0 200"):
                    return True
            except ConnectionRefusedError:
                time.sleep(TRY_EVERY_S)
            except TimeoutError:
                pass
    return False
