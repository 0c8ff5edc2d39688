"""The rules of the layers, kept by reading the source: see the layout section of the README."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Leftwards only: each may import itself and what stands before it.
PACKAGES = ("storage", "signalling", "rest", "server")
LINES_MAX = 400

PURE = (
    "signalling/core/*.py",
    "signalling/frames.py",
    "signalling/commands.py",
    "signalling/events.py",
    "signalling/codes.py",
    "signalling/limits.py",
    "signalling/turn.py",
    "signalling/sockets/throttle.py",
)
IMPURE = {"asyncio", "time", "random", "logging", "os", "secrets", "datetime"}

# What only some may import; a path ending in "/" stands for everything below it.
RESERVED = {
    "asyncpg": ("storage/",),
    "redis": ("storage/redis.py", "signalling/nodes/line.py"),
    "aiortc": ("signalling/client/",),
    "av": ("signalling/client/",),
    "jwt": ("server/access.py", "rest/auth/tokens.py", "server/push/tokens.py"),
    "httpx": ("server/push/apns.py",),
    "cryptography": ("server/push/",),
    "aiohttp_jwt": ("server/access.py",),
    "pgqueuer": ("storage/jobs.py", "server/jobs.py"),
    "stripe": ("rest/payments/gateways/stripe.py",),
    "PIL": ("rest/account/",),
    "obstore": ("storage/objects.py",),
    "strawberry": ("rest/graphql/",),
    "graphql": ("rest/graphql/",),
    "phonenumbers": ("rest/http/phones.py",),
    "sentry_sdk": ("server/sentry.py",),
    "pydantic": ("server/config.py",),
    "pydantic_settings": ("server/config.py",),
}
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb"}
ENVIRONMENT_READER = "server/config.py"
MONEY_TABLES = ("account", "transfer")
# The write-combining queue runs the statements of the last two.
LEDGER_WRITERS = ("storage/ledger.py", "storage/meters.py", "storage/authorise.py")

# Files without a test of their own, each for a reason.
UNTESTED = {
    "signalling/codes.py": "constants, and what follows from them",
}


@dataclass(frozen=True)
class Source:
    path: str
    tree: ast.Module
    lines: int

    @property
    def package(self) -> str:
        return self.path.split("/")[0]

    def imports(self) -> Iterator[str]:
        """The dotted names this file imports, wherever in it."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}: relative import"
                assert node.module is not None
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def strings(self) -> Iterator[str]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def read(path: Path) -> Source:
    text = path.read_text()
    return Source(path.relative_to(ROOT).as_posix(), ast.parse(text), text.count("\n"))


SOURCES = [read(path) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def allowed(path: str, places: tuple[str, ...]) -> bool:
    return any(
        path == place or (place.endswith("/") and path.startswith(place)) for place in places
    )


def test_there_is_something_to_check() -> None:
    assert {source.package for source in SOURCES} == set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_packages_that_are_imported_are_those_of_this_tree(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve() == (ROOT / package / "__init__.py").resolve()


def test_packages_import_leftwards_only() -> None:
    wrong = [
        f"{source.path} imports {name}"
        for source in SOURCES
        for name in source.imports()
        if name.split(".")[0] in PACKAGES
        and PACKAGES.index(name.split(".")[0]) > PACKAGES.index(source.package)
    ]
    assert wrong == []


def test_the_pure_files_know_no_clock_no_loop_and_no_chance() -> None:
    wrong = [
        f"{source.path} imports {name}"
        for source in SOURCES
        if any(Path(source.path).match(pattern) for pattern in PURE)
        for name in source.imports()
        if name.split(".")[0] in IMPURE | {"aiohttp", "asyncpg", "redis", "structlog", "storage"}
    ]
    assert wrong == []


def test_rest_domains_do_not_import_each_other() -> None:
    wrong = []
    for source in SOURCES:
        if source.package != "rest" or source.path.count("/") < 2:
            continue
        own = source.path.split("/")[1]
        for name in source.imports():
            parts = name.split(".")
            if parts[0] == "rest" and len(parts) > 1 and parts[1] not in (own, "http"):
                wrong.append(f"{source.path} imports {name}")
    assert wrong == []


def test_what_only_some_may_import_is_imported_by_them_only() -> None:
    wrong = [
        f"{source.path} imports {name}"
        for source in SOURCES
        for name in source.imports()
        if name.split(".")[0] in RESERVED and not allowed(source.path, RESERVED[name.split(".")[0]])
    ]
    assert wrong == []


def test_only_the_settings_read_the_environment() -> None:
    wrong = []
    for source in SOURCES:
        reads = {
            node.attr
            for node in ast.walk(source.tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "os"
        } | {name.removeprefix("os.") for name in source.imports() if name.startswith("os.")}
        if reads & ENVIRONMENT and source.path != ENVIRONMENT_READER:
            wrong.append(source.path)
    assert wrong == []


def test_only_storage_runs_sql() -> None:
    starts = ("select ", "insert into ", "update ", "delete from ", "with ")
    signs = (" from ", " values", " set ", " where ", " returning ")
    wrong = [
        f"{source.path}: {text.split(chr(10))[0][:60]}"
        for source in SOURCES
        if source.package != "storage"
        for text in (" ".join(each.split()).lower() for each in source.strings())
        if text.startswith(starts) and sum(sign in text for sign in signs) > 1
    ]
    assert wrong == []


def test_only_the_ledger_writes_accounts_and_transfers() -> None:
    writes = tuple(
        f"{verb} {table}{end}"
        for verb in ("insert into", "update", "delete from")
        for table in MONEY_TABLES
        for end in (" ", "(")
    )
    wrong = [
        source.path
        for source in SOURCES
        if source.path not in LEDGER_WRITERS
        and any(
            write in f"{' '.join(text.lower().split())} "
            for text in source.strings()
            for write in writes
        )
    ]
    assert wrong == []


def has_logic(source: Source) -> bool:
    """True if a function in it does anything; shapes and protocols alone are no logic."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return any(
        isinstance(node, functions) and not all(is_empty(step) for step in node.body)
        for node in ast.walk(source.tree)
    )


def is_empty(step: ast.stmt) -> bool:
    """A docstring or an ellipsis."""
    return isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant)


def test_every_file_with_logic_has_its_test_file() -> None:
    missing = []
    for source in SOURCES:
        path = Path(source.path)
        if path.name in ("__init__.py", "__main__.py") or source.path in UNTESTED:
            continue
        expected = ROOT / "tests" / path.parent / f"test_{path.name}"
        if has_logic(source) and not expected.exists():
            missing.append(source.path)
    assert missing == []


def test_the_exceptions_still_exist() -> None:
    assert {path for path in UNTESTED if not (ROOT / path).exists()} == set()


def test_no_source_file_is_longer_than_a_reader_can_hold() -> None:
    tests = [read(path) for path in sorted((ROOT / "tests").rglob("*.py"))]
    long = {each.path: each.lines for each in [*SOURCES, *tests] if each.lines > LINES_MAX}
    assert long == {}
