from __future__ import annotations

import pytest

from server.config import Config
from server.demo_accounts import DEMO_PASSWORD
from server.site import site_of


def test_in_development_the_demo_accounts_can_be_tried() -> None:
    site = site_of(Config.load(dev=True), "1.0", ["sandbox"])
    assert site["dev"] is True
    assert {each["role"] for each in site["accounts"]} == {"customer", "provider", "admin"}
    assert all(each["password"] == DEMO_PASSWORD for each in site["accounts"])


def test_in_production_nobody_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config.load(dev=True).model_copy(update={"mode": "production"})
    site = site_of(config, "1.0", [])
    assert (site["dev"], site["accounts"]) == (False, [])
    assert DEMO_PASSWORD not in str(site)
