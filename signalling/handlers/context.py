"""What handlers work with; made once by the app."""

from collections.abc import Callable
from uuid import UUID

from signalling.calls.actions import Actions
from signalling.calls.registry import Registry
from signalling.events import IceServer
from signalling.handlers.presence import PresenceBoard
from signalling.handlers.visits import Visits
from signalling.nodes.fanout import Fanout
from signalling.sockets.hub import Hub
from signalling.turn import TurnTerms, ice_servers
from storage.pool import Pool


class Context:
    def __init__(
        self,
        *,
        pool: Pool,
        hub: Hub,
        fanout: Fanout,
        registry: Registry,
        actions: Actions,
        board: PresenceBoard,
        visits: Visits,
        turn: TurnTerms,
        clock: Callable[[], int],
    ) -> None:
        self.pool = pool
        self.hub = hub
        self.fanout = fanout
        self.registry = registry
        self.actions = actions
        self.board = board
        self.visits = visits
        self.turn = turn
        self.clock = clock

    def ice(self, user_id: UUID, call_id: UUID) -> list[IceServer]:
        return ice_servers(self.turn, user_id, call_id, self.clock())
