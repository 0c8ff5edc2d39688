"""Log-ins by password at full load: how many, at which cost of the hash, and what others notice."""

import asyncio
import time
from uuid import UUID

import aiohttp

from rest.auth.passwords import HashCost, Passwords
from server.config import ARGON2_PROFILES
from storage import credentials
from storage.pool import connect
from tests.bench.lab import Lab

PASSWORD = "a password for benches"
PROFILE = "standard"
# Below the limits of one account and one address; addresses of this machine there are enough of.
TRIES = 4
AT_ONCE = 8
HEALTH_EVERY_S = 0.01


async def bench_logins(lab: Lab) -> None:
    """`POST /auth/login`, each from an address of its own, as fast as the server answers."""
    dsn = await lab.dsn()
    people = await lab.people(dsn, lab.pick(50, 8))
    emails = await _give_passwords(dsn, [each.user_id for each in people])
    async with lab.server(dsn, TALKTIME_ARGON2_PROFILE=PROFILE) as server:
        url = f"http://{server.host}:{server.port}"
        waiting = [(number, email) for _ in range(TRIES) for number, email in enumerate(emails)]
        times: list[float] = []
        refused: list[int] = []
        noticed: list[float] = []
        cpu_s, began_s = server.cpu_s, time.perf_counter()
        watcher = asyncio.create_task(_watch(url, noticed))
        await asyncio.gather(*(_log_in(url, waiting, times, refused) for _ in range(AT_ONCE)))
        seconds, cpu_s = time.perf_counter() - began_s, server.cpu_s - cpu_s
        watcher.cancel()
    cost = ARGON2_PROFILES[PROFILE]
    report, done = lab.report, len(times)
    report.add(f"Argon2id {PROFILE}: memory", cost.memory_kib, "KiB")
    report.add(f"Argon2id {PROFILE}: passes", cost.time_cost, "")
    report.add("log-ins", done / seconds, "/s")
    report.add("log-ins per CPU-second", done / cpu_s, "/CPU-s")
    report.times("log-in", times)
    report.times("another request meanwhile", noticed)
    report.add("refused", len(refused), "", "0")


async def _give_passwords(dsn: str, user_ids: list[UUID]) -> list[str]:
    cost = ARGON2_PROFILES[PROFILE]
    passwords = Passwords(HashCost(cost.memory_kib, cost.time_cost, cost.parallelism))
    conn = await connect(dsn, application_name="bench")
    try:
        kept = await passwords.hash(PASSWORD)
        emails = []
        for user_id in user_ids:
            await credentials.set_password(conn, user_id, kept)
            emails.append(await conn.fetchval("select email from users where id = $1", user_id))
    finally:
        await conn.close()
        passwords.close()
    return emails


async def _log_in(
    url: str, waiting: list[tuple[int, str]], times: list[float], refused: list[int]
) -> None:
    while waiting:
        number, email = waiting.pop()
        address = f"127.0.{1 + number // 250}.{1 + number % 250}"
        connector = aiohttp.TCPConnector(local_addr=(address, 0))
        async with aiohttp.ClientSession(connector=connector) as session:
            began_s = time.perf_counter()
            body = {"email": email, "password": PASSWORD}
            async with session.post(f"{url}/auth/login", json=body) as answer:
                await answer.read()
            if answer.status == 200:
                times.append((time.perf_counter() - began_s) * 1_000)
            else:
                refused.append(answer.status)


async def _watch(url: str, noticed: list[float]) -> None:
    """What somebody else waits for while the log-ins are hashed."""
    async with aiohttp.ClientSession() as session:
        while True:
            began_s = time.perf_counter()
            async with session.get(f"{url}/health") as answer:
                await answer.read()
            noticed.append((time.perf_counter() - began_s) * 1_000)
            await asyncio.sleep(HEALTH_EVERY_S)
