from __future__ import annotations

import asyncio
from threading import Event

import pytest

from rest.auth.passwords import HashCost, Passwords
from storage.errors import Unavailable


async def test_a_password_fits_its_own_hash_only(passwords: Passwords) -> None:
    kept = await passwords.hash("correct horse")
    assert kept.startswith("$argon2id$")
    assert await passwords.check("correct horse", kept)
    assert not await passwords.check("correct horsf", kept)
    assert not await passwords.check("correct horse", None)
    assert not await passwords.check("correct horse", "no hash at all")


async def test_two_hashes_of_one_password_differ(passwords: Passwords) -> None:
    assert await passwords.hash("correct horse") != await passwords.hash("correct horse")


async def test_the_keyboard_s_way_of_spelling_a_letter_does_not_matter(
    passwords: Passwords,
) -> None:
    kept = await passwords.hash("caf\u00e9 noir")
    assert await passwords.check("cafe\u0301 noir", kept)


async def test_an_unknown_name_costs_the_same_work(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    inner = passwords._matches

    def counting(kept: str, password: str) -> bool:
        checked.append(kept)
        return inner(kept, password)

    monkeypatch.setattr(passwords, "_matches", counting)
    await passwords.check("correct horse", None)
    assert [each.split("$")[1:4] for each in checked] == [["argon2id", "v=19", "m=8,t=1,p=1"]]


async def test_the_queue_is_short_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(HashCost(memory_kib=8, passes=1, workers=1, queue_max=2))
    gate = Event()

    def held(_kept: str, _password: str) -> bool:
        return gate.wait(10)

    monkeypatch.setattr(passwords, "_matches", held)
    waiting = [asyncio.ensure_future(passwords.check("x", "y")) for _ in range(3)]
    await asyncio.sleep(0)
    assert passwords.waiting == 3
    with pytest.raises(Unavailable):
        await passwords.check("x", "y")
    gate.set()
    assert await asyncio.gather(*waiting) == [True, True, True]
    assert await passwords.check("x", "y")
    passwords.close()


async def test_who_stops_waiting_gives_the_place_back_when_the_work_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passwords = Passwords(HashCost(memory_kib=8, passes=1, workers=1, queue_max=0))
    gate = Event()
    monkeypatch.setattr(passwords, "_matches", lambda _kept, _password: gate.wait(10))
    left = asyncio.ensure_future(passwords.check("x", "y"))
    await asyncio.sleep(0)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    with pytest.raises(Unavailable):
        await passwords.check("x", "y")
    gate.set()
    async with asyncio.timeout(5):
        while True:
            try:
                assert await passwords.check("x", "y")
                break
            except Unavailable:
                await asyncio.sleep(0.001)
    passwords.close()


def test_a_hash_of_another_cost_is_outdated() -> None:
    cheap = Passwords(HashCost(memory_kib=8, passes=1))
    dearer = Passwords(HashCost(memory_kib=16, passes=1))
    kept = cheap._dummy
    assert not cheap.is_outdated(kept)
    assert dearer.is_outdated(kept)
    cheap.close()
    dearer.close()
