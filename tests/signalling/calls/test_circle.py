"""What the other nodes are told again when parcels may have been lost."""

from typing import Any
from uuid import UUID

from signalling.calls.circle import OVER_MS, Circle
from signalling.nodes.parcels import Missed, Over
from tests.signalling.calls.test_registry import ANN, KAI, Rig


class Post:
    """An exchange that only remembers, and a fan-out that knows one other node."""

    alone = False

    def __init__(self) -> None:
        self.bus = self
        self.sent: list[tuple[str, Any]] = []

    def on(self, *_: Any) -> None:
        pass

    def on_nodes(self, **_: Any) -> None:
        pass

    def send(self, node: str, parcel: Any) -> None:
        self.sent.append((node, parcel))

    def nodes_of(self, user_id: UUID) -> frozenset[str]:
        return frozenset({"b.2"} if user_id == KAI else ())

    def unfollow(self, *_: Any) -> None:
        pass


def test_after_a_gap_nodes_hear_again_of_calls_that_live_and_of_those_that_have_ended() -> None:
    rig, post = Rig(), Post()
    made: Any = post
    nobody: Any = None
    circle = Circle(
        exchange=made,
        fanout=made,
        presence=nobody,
        hub=nobody,
        registry=rig.registry,
        claims=nobody,
        clock=rig.time,
    )
    ended = rig.call(1, ANN, KAI)
    rig.end(ended)
    circle.closed(ended)
    live = rig.call(2, ANN, KAI)
    post.sent.clear()
    circle.gap()
    assert post.sent == [
        ("b.2", Missed(live.id)),
        ("b.2", Missed(ended.id)),
        ("b.2", Over(ended.id, ended.claim)),
    ]
    rig.time.now_ms += OVER_MS + 1
    post.sent.clear()
    circle.gap()
    assert post.sent == [("b.2", Missed(live.id))]
