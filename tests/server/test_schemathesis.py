"""The whole document tried out on the running server: what it says is what is answered.

schemathesis makes requests that fit the document and requests that break it on purpose, each
operation as one who may use it: the owner of its rows, somebody with its role, or nobody.
`FUZZ_EXAMPLES` says how many for each operation (`make fuzz`), `FUZZ_SEED` which.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from rest.auth.tokens import TokenKeys
from tests.end_to_end.test_killed_server import assert_books_hold
from tests.server.walk import Operation, Walk, walking

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "4"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
)
# What would end the session or the account that the others are tried with.
ENDS = {"POST /auth/logout", "DELETE /user/delete"}
TOKEN_S = 86_400  # Longer than any run.


@pytest.mark.timeout(300 + 60 * EXAMPLES)
async def test_the_server_does_what_its_document_says(dsn: str, tmp_path: Path) -> None:
    async with walking(dsn, tmp_path) as walk:
        assert {str(each) for each in walk.operations} >= ENDS
        walk.keys = TokenKeys(walk.keys.secret, TOKEN_S)
        settings = tmp_path / "schemathesis.toml"
        settings.write_text("\n".join(section(walk, each) for each in walk.operations))
        code, said = await schemathesis(
            tmp_path,
            *("--config-file", str(settings), "run", f"{walk.there.site.url}/openapi.json"),
            *("--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing"),
            *("--max-examples", str(EXAMPLES), "--seed", str(SEED), "--workers", "1"),
            *("--continue-on-failure", "--suppress-health-check", "all", "--warnings", "off"),
        )
        assert code == 0, said
        assert not_let_in(walk) == []
    await assert_books_hold(dsn)


async def schemathesis(directory: Path, *arguments: str) -> tuple[int | None, str]:
    """Its exit code and all it said: for every failure a command of curl that repeats it.

    It keeps what it found in the directory, and would try that first the next time.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--no-color", *arguments),
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, said.decode()


def section(walk: Walk, operation: Operation) -> str:
    """Who asks for the operation, and for which row, in the words of schemathesis's settings."""
    lines = ["[[operations]]", f"include-name = {json.dumps(str(operation))}"]
    lines.append(f"enabled = {json.dumps(str(operation) not in ENDS)}")
    if operation.route.auth:
        lines.append(f'headers = {{ Authorization = "Bearer {walk.almighty(operation)}" }}')
    given = walk.parameters(operation)
    if given:
        pairs = (f"{name} = {json.dumps(text)}" for name, text in given.items())
        lines.append(f"parameters = {{ {', '.join(pairs)} }}")
    return "\n".join(lines)


def not_let_in(walk: Walk) -> list[str]:
    """The operations that were refused at the door every time, so that nothing was tried."""
    seen: defaultdict[str, set[str]] = defaultdict(set)
    for metric in walk.there.server.metrics.registry.collect():
        for sample in metric.samples:
            if sample.name == "talktime_http_request_seconds_count":
                labels = sample.labels
                seen[f"{labels['method']} {labels['route']}"].add(labels["status"])
    return [
        str(each)
        for each in walk.operations
        if str(each) not in ENDS and not each.is_signed and seen[str(each)] <= {"401", "403"}
    ]
