"""Texts between connections by NOTIFY."""

from __future__ import annotations

import asyncio

import pytest

from storage import parcels
from storage.errors import Unavailable
from storage.pool import connect


async def test_texts_come_in_order_to_their_channel_only(shared_dsn: str) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    listening = await parcels.listen(shared_dsn, "west.1", heard.put_nowait, lambda: None)
    sending = await connect(shared_dsn)
    ours, others = parcels.channel_of("west.1"), parcels.channel_of("east.1")
    largest = "x" * parcels.TEXT_MAX
    await parcels.notify(sending, [(ours, "1"), (others, "2"), (ours, largest), (ours, "3")])
    async with asyncio.timeout(10):
        assert [await heard.get() for _ in range(3)] == ["1", largest, "3"]
    assert heard.empty()
    await parcels.notify(sending, [])
    await sending.close()
    await listening.close()


async def test_a_cut_connection_is_told_and_sends_nothing(shared_dsn: str) -> None:
    lost = asyncio.Event()
    listening = await parcels.listen(shared_dsn, "west.1", lambda _: None, lost.set)
    killer = await connect(shared_dsn)
    await killer.execute("select pg_terminate_backend($1)", listening.get_server_pid())
    await killer.close()
    async with asyncio.timeout(10):
        await lost.wait()
    with pytest.raises(Unavailable):
        await parcels.notify(listening, [("tt_x", "1")])


async def test_a_database_that_is_away_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await parcels.listen(
            "postgresql://nobody@127.0.0.1:1/none", "west.1", lambda _: None, lambda: None
        )


def test_a_channel_is_a_safe_name_of_its_own_for_each_address() -> None:
    odd = [parcels.channel_of(address) for address in ('a".1', "a.1", "a.2", "x" * 500)]
    assert len(set(odd)) == 4
    assert all(channel.isidentifier() and len(channel) < 64 for channel in odd)
