"""NOTIFY as a way for texts between processes: each listens to a channel of its own.

A text to a channel to which nobody listens is lost, and so is one that comes while the listener's
connection is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

from storage.pool import Connection, connect, within

# PostgreSQL takes less than 8000 bytes.
TEXT_MAX = 7_999
DEADLINE_S = 2.0


def channel_of(address: str) -> str:
    """A name that is safe as an identifier, whatever the address is."""
    return "tt_" + sha256(address.encode()).hexdigest()[:32]


async def listen(
    dsn: str, address: str, heard: Callable[[str], None], lost: Callable[[], None]
) -> Connection:
    """A connection that listens to the channel of `address`: `heard` gets each text, in the order
    in which its sender sent it; `lost` is called when the connection is cut.

    Raises:
        Unavailable: the database does not answer.
    """
    return await within(2 * DEADLINE_S, _listen(dsn, address, heard, lost))


async def _listen(
    dsn: str, address: str, heard: Callable[[str], None], lost: Callable[[], None]
) -> Connection:
    conn = await connect(dsn, application_name="talktime parcels", deadline_s=DEADLINE_S)
    try:
        conn.add_termination_listener(lambda _: lost())
        await conn.add_listener(channel_of(address), lambda *given: heard(str(given[-1])))
    except BaseException:
        conn.terminate()
        raise
    return conn


async def notify(conn: Connection, notices: Sequence[tuple[str, str]]) -> None:
    """Send texts, (channel, text) each, in this order, all of them or none.

    Raises:
        Unavailable: out of time or cut; they may have been sent all the same.
    """
    await within(DEADLINE_S, _notify(conn, notices))


async def _notify(conn: Connection, notices: Sequence[tuple[str, str]]) -> None:
    await conn.execute(
        "select pg_notify(channel, text) from unnest($1::text[], $2::text[]) as t (channel, text)",
        [channel for channel, _ in notices],
        [text for _, text in notices],
    )
