"""A child process that does not outlive the one that started it, however that ends."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from signal import Signals

_PR_SET_PDEATHSIG = 1


def die_with_parent(number: Signals) -> Callable[[], None] | None:
    """To be run in the child before it becomes its program; only Linux can do this.

    The kernel sends the signal when the thread that started the child ends: start it in the main
    thread.
    """
    if sys.platform != "linux":
        return None
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl  # Loaded here: between fork and exec little may be done.

    def bind() -> None:
        prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # It ended in between.
            os._exit(1)

    return bind
