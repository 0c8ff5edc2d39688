"""compose.yaml and what it mounts fit together, and fit the settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.config import Config
from server.config_rules import setting_name

ROOT = Path(__file__).parents[2]
NODES = ("app-1", "app-2")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found


def test_two_nodes_differ_in_their_names_alone(compose: dict[str, Any]) -> None:
    one, other = (dict(compose["services"][name]) for name in NODES)
    settings = [dict(one.pop("environment")), dict(other.pop("environment"))]
    for name in ("TALKTIME_NODE_NAME", "TALKTIME_LINK_HOST"):
        assert [each.pop(name) for each in settings] == list(NODES)
    assert settings[0] == settings[1]
    for each in (one, other):  # Who builds the image, and who waits for that.
        each.pop("build", None)
        each["depends_on"] = {
            name: how for name, how in each["depends_on"].items() if name not in NODES
        }
    assert one == other
    assert "ports" not in one, "people come through the proxy"


def test_every_setting_there_exists(compose: dict[str, Any]) -> None:
    known = {setting_name(field) for field in Config.model_fields}
    for name in NODES:
        assert set(compose["services"][name]["environment"]) <= known


def test_what_is_public_is_the_proxy_on_this_host_alone(compose: dict[str, Any]) -> None:
    published = {
        name: service["ports"]
        for name, service in compose["services"].items()
        if service.get("ports")
    }
    assert published == {"proxy": ["127.0.0.1:8080:8080"]}


def test_valkey_is_reached_by_the_nodes_and_keeps_nothing(compose: dict[str, Any]) -> None:
    valkey = compose["services"]["valkey"]
    (network,) = valkey["networks"]
    assert compose["networks"][network] == {"internal": True}
    inside = [n for n, s in compose["services"].items() if network in s.get("networks", [])]
    assert sorted(inside) == [*NODES, "valkey"]
    words = [str(word) for word in valkey["command"]]
    options = dict(zip(words[1::2], words[2::2], strict=True))
    assert (options["--save"], options["--appendonly"]) == ("", "no")
    assert options["--maxmemory-policy"] == "noeviction"
    assert "volumes" not in valkey


def test_what_is_named_is_there(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)
        for network in service.get("networks", ()):
            assert network in {"default", *compose["networks"]}
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in compose["volumes"] or (ROOT / source).is_file(), source


def test_the_proxy_sends_to_both_nodes_and_lets_sockets_through() -> None:
    text = re.sub(r"#.*", "", (ROOT / "deploy" / "nginx.conf").read_text())
    assert re.findall(r"server (app-\d):8080 resolve", text) == list(NODES)
    assert text.count("{") == text.count("}")
    for wanted in (
        "listen 8080;",
        "proxy_http_version 1.1;",
        "proxy_set_header Upgrade $http_upgrade;",
        "proxy_set_header Connection $connection_upgrade;",
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
        "proxy_next_upstream error timeout http_503;",
    ):
        assert wanted in text, wanted


def test_the_image_serves_as_nobody_in_particular() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    for line in ("USER talktime", "EXPOSE 8080", "STOPSIGNAL SIGTERM", 'CMD ["talktime", "serve"]'):
        assert line in lines
    assert any("TALKTIME_HOST=0.0.0.0" in line for line in lines)
