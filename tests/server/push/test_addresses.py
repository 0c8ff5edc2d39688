"""Which addresses strangers may send the server to."""

from __future__ import annotations

import socket

import pytest

from server.push.addresses import is_public, public_socket


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "142.250.74.10", "2607:f8b0:4005:80a::200a", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_public_addresses_are_sent_to(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.9.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
        *("100.64.0.1", "169.254.169.254", "192.0.2.1", "198.18.0.1", "224.0.0.1"),
        *("240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1"),
        *("fec0::1", "ff02::1", "2001:db8::1", "2002:7f00:1::", "2001::1", "::127.0.0.1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
        *("64:ff9b:1::1", "localhost", "", "8.8.8.8.8"),
    ],
)
def test_others_are_not(address: str) -> None:
    assert not is_public(address)


def test_a_socket_is_made_for_a_public_address_alone() -> None:
    with public_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 443))) as made:
        assert made.family == socket.AF_INET
    with pytest.raises(PermissionError):
        public_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443)))
