"""A call on a clock of its own."""

import pytest

from signalling.calls.host import Host
from tests.signalling.calls.hosting import Notes, hosted
from tests.signalling.harness import FakeTime


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def host(time: FakeTime, notes: Notes) -> Host:
    return hosted(time, notes)
