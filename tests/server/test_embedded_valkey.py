"""The Valkey that is run beside us."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from server import embedded_valkey
from server.embedded_valkey import EmbeddedValkey, ValkeyError, find_server

# A process that starts one, says its number and its URL, and waits to be killed.
PARENT = """
import sys
from server.embedded_valkey import EmbeddedValkey
server = EmbeddedValkey()
print(server.start(), server.pid, flush=True)
sys.stdin.read()
"""


def said(url: str, command: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(5)
        line.connect(urlsplit(url).path)
        line.sendall(command + b"\r\n")
        return line.recv(4096)


def answers(url: str) -> bool:
    try:
        return said(url, b"PING") != b""
    except ConnectionError:
        return False


def test_it_answers_and_is_gone_after_the_stop() -> None:
    server = EmbeddedValkey()
    url = server.start()
    home = Path(urlsplit(url).path).parent
    pid = server.pid
    assert pid is not None
    assert said(url, b"PING") == b"+PONG\r\n"
    assert home.stat().st_mode & 0o777 == 0o700
    server.stop()
    assert not home.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    server.stop()


def test_a_killed_one_starts_again_empty_in_the_same_place() -> None:
    server = EmbeddedValkey()
    url = server.start()
    try:
        assert said(url, b"SET name ann") == b"+OK\r\n"
        server.kill()
        assert server.start() == url
        assert said(url, b"EXISTS name") == b":0\r\n"
    finally:
        server.stop()


def test_it_keeps_nothing_on_disk_and_has_bounded_memory() -> None:
    server = EmbeddedValkey()
    url = server.start()
    try:
        assert b"134217728" in said(url, b"CONFIG GET maxmemory")
        assert b"noeviction" in said(url, b"CONFIG GET maxmemory-policy")
        assert b"$0\r\n" in said(url, b"CONFIG GET save")
        assert b"no" in said(url, b"CONFIG GET appendonly")
    finally:
        server.stop()


def test_a_password_is_asked_for() -> None:
    server = EmbeddedValkey(password="hush")
    url = server.start()
    try:
        assert said(url, b"PING").startswith(b"-NOAUTH")
        assert ":hush@" in url
        assert b"hush" not in Path(f"/proc/{server.pid}/cmdline").read_bytes()
    finally:
        server.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends it with its parent")
def test_it_ends_with_a_parent_that_was_killed() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(embedded_valkey.__file__).parent.parent,
    )
    assert parent.stdout is not None
    url, _ = parent.stdout.readline().split()
    assert said(url, b"PING") == b"+PONG\r\n"
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    give_up = time.monotonic() + 10
    while answers(url):
        assert time.monotonic() < give_up
    for left in Path(urlsplit(url).path).parent.iterdir():
        left.unlink()
    Path(urlsplit(url).path).parent.rmdir()


def test_without_the_wheel_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_server().is_file()
    monkeypatch.setattr(embedded_valkey, "PACKAGE", "no_such_package")
    with pytest.raises(ValkeyError, match=r"REDIS_URL.*pip install talktime\[dev\]"):
        EmbeddedValkey().start()


def test_one_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_valkey, "MEMORY", "plenty")
    server = EmbeddedValkey()
    with pytest.raises(ValkeyError, match="did not start"):
        server.start()
    assert server.pid is None
