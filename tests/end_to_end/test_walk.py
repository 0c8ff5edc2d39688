"""The walk through the REST API in `rest/README.md` runs as it stands."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.rest.account.drawing import drawn
from tests.server.running import development, running

ROOT = Path(__file__).parents[2]
WALK = ROOT / "rest" / "README.md"
HERE = "http://127.0.0.1:8080"
# The one step that shows a refusal.
REFUSED = ("INSUFFICIENT_FUNDS",)


def blocks() -> list[str]:
    return re.findall(r"```sh\n(.*?)```", WALK.read_text(), re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the walk is taken: with a picture, and with a curl where the machine has none."""
    (tmp_path / "me.png").write_bytes(drawn("PNG", (120, 90)))
    if shutil.which("curl") is None:
        command = tmp_path / "curl"
        here = Path(__file__).parent / "curl.py"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{here}" "$@"\n')
        command.chmod(0o755)
    return tmp_path


async def test_the_walk_through_the_api_runs_as_it_stands(dsn: str, folder: Path) -> None:
    async with running(dsn, development(folder / "data")) as there:
        script = "set -euo pipefail\n" + "\n".join(blocks()).replace(HERE, there.site.url)
        python = Path(sys.executable).parent
        walk = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            script,
            cwd=folder,
            env={"PATH": os.pathsep.join([str(folder), str(python), os.environ["PATH"]])},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            out, err = await walk.communicate()
    said = out.decode()
    assert walk.returncode == 0, err.decode() + said[-2_000:]
    assert re.findall(r'"error":"([A-Z_]+)"', said) == list(REFUSED)


async def test_the_stand_in_for_curl_does_what_the_walk_asks_of_curl(
    dsn: str, folder: Path
) -> None:
    """So that the walk means the same on a machine that has no curl."""

    async def curl(*arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).parent / "curl.py"),
            *arguments,
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode()

    async with running(dsn, development(folder / "data")) as there:
        url = there.site.url
        token = (await there.site.login("mia@demo.talktime"))["accessToken"]
        bearer = ("-H", f"Authorization: Bearer {token}")
        assert (await curl("-sS", f"{url}/health"))[0] == 0
        code, said = await curl(
            "-sS", "--fail-with-body", "-X", "PUT", *bearer, f"{url}/user/avatar",
            "-F", "avatar=@me.png",
        )  # fmt: skip
        assert (code, '"success":true' in said) == (0, True)
        code, said = await curl("-sS", f"{url}/user/profile", "-X", "PUT", *bearer, "--json", "{}")
        assert (code, "NO_FIELDS" in said) == (0, True)
        assert (await curl("--fail-with-body", f"{url}/user/me"))[0] == 22
        assert (await curl("--unknown", url))[0] == 2
