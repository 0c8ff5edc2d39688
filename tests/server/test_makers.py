"""What the settings choose."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.makers import avatar_settings, make_gateways, make_objects, make_passwords
from storage.pool import Pool
from tests.rest.harness import FakeClock
from tests.server.running import development


async def test_gateways_are_those_whose_keys_are_set(pool: Pool, tmp_path: Path) -> None:
    config = development(tmp_path, currency="NGN", currency_exponent=2)
    assert [each.name for each in make_gateways(config, pool, str, FakeClock())] == ["sandbox"]
    config = development(
        tmp_path,
        currency="NGN",
        currency_exponent=2,
        sandbox_gateway=False,
        stripe_secret_key="sk_test_1",
        stripe_publishable_key="pk_test_1",
        monnify_api_key="MK_TEST_1",
        monnify_secret_key="a secret of the vendor",
        monnify_contract_code="123",
    )
    made = make_gateways(config, pool, str, FakeClock())
    assert [each.name for each in made] == ["stripe", "monnify"]
    for gateway in made:
        await gateway.close()


async def test_passwords_are_hashed_at_the_cost_of_the_profile(tmp_path: Path) -> None:
    passwords = make_passwords(development(tmp_path))
    try:
        assert "m=8,t=1,p=1" in await passwords.hash("correct horse")
    finally:
        passwords.close()


async def test_pictures_are_kept_in_a_folder_unless_there_is_a_bucket(tmp_path: Path) -> None:
    await make_objects(development(tmp_path)).put("a/b.webp", b"x", "image/webp")
    assert (tmp_path / "objects" / "a" / "b.webp").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("settings", "base"),
    [
        ({}, "/media"),
        ({"public_url": "https://talk.example.org/"}, "https://talk.example.org/media"),
        ({"objects_public_url": "https://pictures.example"}, "https://pictures.example"),
    ],
)
def test_pictures_have_the_address_that_people_can_reach(
    tmp_path: Path, settings: dict[str, str], base: str
) -> None:
    assert avatar_settings(development(tmp_path, **settings)).url_base == base
