"""`--peers`: the same balance by FastAPI and uvicorn, with PyJWT and a pool of asyncpg's.

They are installed by pip into a directory of the benchmark's, and are never part of what is
shipped.
"""

import importlib.util
import os
import shutil
import sys
from importlib.metadata import distributions
from pathlib import Path

from tests.bench.children import ROOT, child, finished
from tests.bench.front import GETTERS, measure_balance
from tests.bench.lab import Lab
from tests.bench.peers.built import HERE, Unavailable

REQUIREMENTS = HERE / "requirements.txt"
INSTALL_MAX_S = 120.0
TOLD = {"fastapi": "FastAPI", "uvicorn": "uvicorn"}


async def bench_fastapi(lab: Lab) -> None:
    """Same token, same query, same people; at full load, then at half of theirs."""
    home = lab.directory / "fastapi"
    try:
        if not home.is_dir():
            await _install(home)
    except Unavailable as reason:
        print(f"  FastAPI is left out: {reason}", file=sys.stderr, flush=True)
        return
    lab.report.versions |= {
        TOLD[each.name]: each.version
        for each in distributions(path=[str(home)])
        if each.name in TOLD
    }
    dsn = await lab.dsn()
    logins = await lab.people(dsn, GETTERS)
    settings = {
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(home))),
        "DATABASE_URL": dsn,
        "TALKTIME_JWT_SECRET": lab.jwt_secret,
    }
    command, log = "tests.bench.peers.fastapi_app", lab.directory / "fastapi.log"
    async with child(command, log=log, settings=settings, pin=lab.pin) as server:
        await measure_balance(lab, server, logins, targets=("", "", ""))


def installer() -> tuple[str, ...]:
    """pip where this Python has it, else uv, whose environments have none.

    Raises:
        Unavailable: neither is there.
    """
    if importlib.util.find_spec("pip"):
        return sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"
    uv = shutil.which("uv")
    if uv is None:
        raise Unavailable("neither pip nor uv was found")
    return uv, "pip", "install", "--quiet", "--python", sys.executable


async def _install(home: Path) -> None:
    """The packages into `home`; nothing of them is built or run for it.

    Raises:
        Unavailable: neither pip nor uv is there, or it fails.
    """
    words = ("--only-binary", ":all:", "--target", str(home), "-r", str(REQUIREMENTS))
    try:
        code, said = await finished(*installer(), *words, max_s=INSTALL_MAX_S)
    except TimeoutError:
        code, said = 1, "it took too long"
    if code:
        shutil.rmtree(home, ignore_errors=True)
        raise Unavailable(f"pip install: {said.strip()[-300:]}")
