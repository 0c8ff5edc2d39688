"""What an invariant of the books is made of."""

import msgspec


class Rule(msgspec.Struct, frozen=True):
    """`count` tells how many things are looked at, `faults` is a line of text for each bad one."""

    name: str
    count: str
    faults: str
