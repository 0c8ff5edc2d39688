from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from aiohttp.test_utils import make_mocked_request

from rest.http.errors import Problem
from rest.http.identity import IDENTITY, Identity, address_of, caller, main_role


def request_from(address: str) -> Any:
    return make_mocked_request("GET", "/").clone(remote=address)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("unix:", "unknown"),
    ],
)
def test_an_address_counts_by_host_or_by_network(address: str, key: str) -> None:
    assert address_of(request_from(address)) == key


def test_the_caller_is_who_the_guard_has_set() -> None:
    request = request_from("203.0.113.9")
    with pytest.raises(Problem) as refused:
        caller(request)
    assert refused.value.status == 401
    request[IDENTITY] = Identity(uuid4(), uuid4(), frozenset({"customer"}), 0)
    assert caller(request) is request[IDENTITY]


@pytest.mark.parametrize(
    ("roles", "shown"),
    [
        (["customer"], "customer"),
        (["customer", "companion"], "companion"),
        (["companion", "customer", "admin"], "admin"),
        (["customer", "unheard_of"], "customer"),
    ],
)
def test_the_highest_role_is_shown(roles: list[str], shown: str) -> None:
    assert main_role(roles) == shown
