"""What a phone is told."""

from server.push.port import payload
from tests.server.push.services import PAYLOAD, WAKE


def test_a_phone_is_told_of_the_call_and_of_nothing_else() -> None:
    assert payload(WAKE) == PAYLOAD
