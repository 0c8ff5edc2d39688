"""Children end with the process that started them, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from server import parent
from server.parent import die_with_parent

ROOT = Path(parent.__file__).parents[1]
# A parent that starts a child, which says its number, and on SIGTERM what it got.
CHILD = """
import os, signal, sys
def told(number, frame):
    print("told", signal.Signals(number).name, flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, told)
print(os.getpid(), flush=True)
signal.pause()
"""
PARENT = f"""
import signal, subprocess, sys
from server.parent import die_with_parent
subprocess.Popen(
    [sys.executable, "-c", {CHILD!r}],
    start_new_session=True,
    preexec_fn=die_with_parent(signal.SIGTERM),
)
signal.pause()
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends it with its parent")


@linux
def test_the_child_of_a_killed_parent_is_told_to_end() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    with process.stdout as said:
        assert int(said.readline()) > 0
        process.kill()
        process.wait()
        assert said.read() == "told SIGTERM\n"


@linux
def test_a_child_whose_parent_has_ended_already_ends_too() -> None:
    bind = die_with_parent(signal.SIGTERM)
    assert bind is not None
    child = os.fork()
    if child == 0:  # Its parent is not the one that `bind` was made in once it is a grandchild.
        grandchild = os.fork()
        if grandchild == 0:
            bind()
            os._exit(0)
        _, status = os.waitpid(grandchild, 0)
        os._exit(os.waitstatus_to_exitcode(status))
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 1


def test_elsewhere_nothing_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert die_with_parent(signal.SIGTERM) is None
