"""The calls that this node hosts, by id and by user, and those that ended a moment ago."""

from collections import OrderedDict
from collections.abc import Callable
from uuid import UUID

from signalling.calls.host import Host
from signalling.codes import State
from signalling.core.model import Call
from signalling.limits import RECENT_CALLS_MS

RECENT_MAX = 5_000


class Registry:
    """`changed(user_id)` is called when a user begins or ends to be in a live call.

    Calls are kept by the number of their id: every frame looks for one, and a UUID hashes and
    compares itself in Python (0.3 µs of some 10 for a frame that is passed on).
    """

    def __init__(self, clock: Callable[[], int], changed: Callable[[UUID], None]) -> None:
        self._clock = clock
        self._changed = changed
        self._hosts: dict[int, Host] = {}
        self._by_user: dict[UUID, Host] = {}
        self._ended: OrderedDict[UUID, Call] = OrderedDict()

    def __len__(self) -> int:
        return len(self._hosts)

    def hosts(self) -> list[Host]:
        return list(self._hosts.values())

    def add(self, host: Host) -> None:
        self._hosts[host.id.int] = host
        for user_id in host.users():
            self._by_user[user_id] = host
            self._changed(user_id)

    def find(self, call_id: UUID) -> Host | None:
        return self._hosts.get(call_id.int)

    def of_user(self, user_id: UUID) -> Host | None:
        """The user's live call; one that has ended does not count, even if its books are open."""
        host = self._by_user.get(user_id)
        return None if host is None or host.call.state is State.ENDED else host

    def ended(self, call_id: UUID) -> Call | None:
        """A call that ended on this node in the last minutes."""
        return self._ended.get(call_id)

    def drop(self, host: Host) -> None:
        """The call is over and its books are closed; its users are free."""
        for user_id in self._let_go(host):
            self._changed(user_id)
        self._ended[host.id] = host.call
        self._forget()

    def release(self, host: Host) -> None:
        """Another node runs the call from now on; its users are still in it."""
        self._let_go(host)

    def _let_go(self, host: Host) -> list[UUID]:
        """Those of the users whose call it was."""
        host.close()
        self._hosts.pop(host.id.int, None)
        users = [user_id for user_id in host.users() if self._by_user.get(user_id) is host]
        for user_id in users:
            del self._by_user[user_id]
        return users

    def _forget(self) -> None:
        old_ms = self._clock() - RECENT_CALLS_MS
        while self._ended:
            oldest = next(iter(self._ended.values()))
            if len(self._ended) <= RECENT_MAX and (oldest.ended_ms or 0) > old_ms:
                return
            self._ended.popitem(last=False)
