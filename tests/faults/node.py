"""`python -m tests.faults.node serve --dev`: the server, with a unit of one second.

A fault must fall between two charges, not into the one minute that a short test lasts; some rows
want `FAULTS_UNIT_MS` longer than their fault, so that what is paid ahead does not end in it. Terms
are stored with each call, so the books are checked as always. SIGUSR1 stops the event loop for as
many seconds as the file `FAULTS_BLOCK_FILE` says; SIGUSR2 makes the next command fail by a mistake.
Nothing else differs from `talktime`.
"""

import os
import signal
import time
from pathlib import Path
from typing import Unpack

from server.cli import main
from signalling.commands import Frame
from signalling.core import tariff
from signalling.handlers.table import CallDesk
from signalling.sockets.device import Device

UNIT_MS = int(os.environ.get("FAULTS_UNIT_MS", "1000"))
_minute = tariff.minute
_receive = CallDesk.receive
_mistakes = 0


def short_minute(
    rate_minor: int,
    *,
    share_bps: int = 7000,
    currency: str = "PTS",
    **more: Unpack[tariff.Extras],
) -> tariff.Tariff:
    more.setdefault("per_ms", UNIT_MS)
    more.setdefault("first_ms", UNIT_MS)
    more.setdefault("next_ms", UNIT_MS)
    more.setdefault("tick_ms", UNIT_MS)
    return _minute(rate_minor, share_bps=share_bps, currency=currency, **more)


def stand_still(*_: object) -> None:
    time.sleep(float(Path(os.environ["FAULTS_BLOCK_FILE"]).read_text()))


def will_err(*_: object) -> None:
    global _mistakes
    _mistakes += 1


def receive(desk: CallDesk, device: Device, frame: Frame) -> None:
    global _mistakes
    if _mistakes and frame.id is not None:
        _mistakes -= 1
        raise AssertionError("a mistake, made on purpose")
    _receive(desk, device, frame)


if __name__ == "__main__":
    tariff.minute = short_minute
    CallDesk.receive = receive  # type: ignore[method-assign, assignment]
    signal.signal(signal.SIGUSR1, stand_still)
    signal.signal(signal.SIGUSR2, will_err)
    main()
