"""The port that wakes phones."""

from uuid import UUID

from signalling.push import NoPush, Push, Wake

WAKE = Wake(user_id=UUID(int=1), call_id=UUID(int=2), caller_name="Ann", kind="audio", expires_at=9)


def test_without_an_adapter_nobody_can_be_woken() -> None:
    push: Push = NoPush()
    push.wake(WAKE)
    assert not push.enabled
