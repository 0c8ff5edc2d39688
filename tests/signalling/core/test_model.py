import pytest
from msgspec.structs import replace

from signalling.codes import Party
from signalling.core.model import leg_of
from tests.signalling.core.calling import LEG, talking


@pytest.mark.parametrize("party", list(Party))
def test_a_leg_is_put_where_it_is_found(party: Party) -> None:
    call = talking()
    assert leg_of(call, party).device == LEG[party]
    changed = call.with_leg(party, replace(leg_of(call, party), device="new"))
    assert leg_of(changed, party).device == "new"
    assert leg_of(changed, party.other) is leg_of(call, party.other)
    assert leg_of(call, party).device == LEG[party]
