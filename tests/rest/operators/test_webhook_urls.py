"""Where webhooks may go: by TLS to the public net, in whatever spelling."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from rest.operators.webhook_urls import fault_of, is_public


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "https://example.org/hook?key=1",
        "https://hooks.example.org:8443/a/b",
        "https://93.184.215.14/hook",
        "https://[2606:4700::1111]/hook",
        "https://host_1.example.org./",
    ],
)
def test_public_addresses_and_names_are_taken(url: str) -> None:
    assert fault_of(url, strict=True) is None
    assert fault_of(url, strict=False) is None


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000/hook", "http://localhost/", "https://[::1]/"]
)
def test_what_is_inside_is_for_development_only(url: str) -> None:
    assert fault_of(url, strict=False) is None
    assert fault_of(url, strict=True) is not None


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "0.0.0.0",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "%31%32%37.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[fe80::1%25eth0]",
        "[64:ff9b::7f00:1]",
        "user@example.org",
        "user:word@example.org",
        "example.org\\@127.0.0.1",
        "exämple.org",
        "example.org:0",
        "example.org:99999",
        "",
    ],
)
def test_no_spelling_leads_inside(host: str) -> None:
    if host.startswith("0x"):
        # A name as far as anybody can see: the sender looks at the address it leads to.
        assert fault_of(f"https://{host}/", strict=True) in (None, "must have a plain name as host")
        return
    assert fault_of(f"https://{host}/hook", strict=True) is not None


@pytest.mark.parametrize(
    "url",
    ["", "example.org", "ftp://example.org/", "file:///etc/passwd", "https://", "https:///hook",
     "https://example.org/#part", "https://exam ple.org/", "https://example.org/\n", "https://[/"],
)  # fmt: skip
def test_what_is_no_url_is_refused_everywhere(url: str) -> None:
    assert fault_of(url, strict=True) is not None
    assert fault_of(url, strict=False) is not None


@pytest.mark.parametrize("text", ["93.184.215.14", "2606:4700::1111", "::ffff:93.184.215.14"])
def test_an_address_of_the_public_net_is_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize(
    "text",
    ["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
     "0.0.0.0", "224.0.0.1", "239.1.1.1", "255.255.255.255", "192.0.2.1", "198.18.0.1",
     "::", "::1", "fe80::1", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1",
     "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2"],
)  # fmt: skip
def test_no_other_address_is(text: str) -> None:
    assert not is_public(ip_address(text))
