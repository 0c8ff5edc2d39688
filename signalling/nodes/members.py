"""Who else is there, as this node has been told. Pure: the time is given."""

from collections.abc import Mapping
from typing import NamedTuple

DEPARTED_MAX = 1_000


class Changes(NamedTuple):
    joined: list[str]
    left: list[str]


class Members:
    """The other nodes, and whether calls may be handed to each.

    Until `spare_until` nobody is taken for gone who is missing in a list: others may not have come
    back yet from an outage that this node had too.
    """

    def __init__(self) -> None:
        self._accepting: dict[str, bool] = {}
        self._met_s: dict[str, float] = {}
        self._departed: dict[str, None] = {}
        self._spare_until_s = 0.0

    def peers(self) -> frozenset[str]:
        return frozenset(self._accepting)

    def successors(self) -> tuple[str, ...]:
        return tuple(sorted(node for node, accepting in self._accepting.items() if accepting))

    def spare_until(self, until_s: float) -> None:
        """Report nobody as gone before that time."""
        self._spare_until_s = until_s

    def met(self, node: str, now_s: float) -> bool:
        """Something came from `node`; true if it is new: then it has joined.

        What a node had sent before it was reported as gone does not bring it back. Whether a new
        one takes calls is not known before the next list.
        """
        if node in self._accepting or node in self._departed:
            return False
        self._accepting[node] = False
        self._met_s[node] = now_s
        return True

    def update(self, listed: Mapping[str, bool], asked_s: float, now_s: float) -> Changes:
        """Take a list of the other nodes, asked for at `asked_s`, with whether each takes calls."""
        joined = [node for node in listed if node not in self._accepting]
        missing = [node for node in self._accepting if node not in listed]
        left = [
            node
            for node in missing
            if now_s >= self._spare_until_s and self._met_s.get(node, 0.0) < asked_s
        ]
        spared = {node: False for node in missing if node not in left}
        self._accepting = {**spared, **listed}
        self._met_s = {node: at_s for node, at_s in self._met_s.items() if node in spared}
        for node in joined:
            self._departed.pop(node, None)
        self._departed.update(dict.fromkeys(left))
        while len(self._departed) > DEPARTED_MAX:
            del self._departed[next(iter(self._departed))]
        return Changes(joined, left)
