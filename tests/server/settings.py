"""Settings for the tests of settings: nothing of the environment's, and what is wrong with them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from server.config import Config, ConfigError

STRONG = "Jx3-vT0qZ8mB_wL5yR2kN7pD4sF9hG1c"
OTHER = "a7Qe-Ym2Wz9Uo4Ik1Xb6Vn3Rt8Pl5Sd0"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith("TALKTIME_") or name in ("DATABASE_URL", "REDIS_URL"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TALKTIME_DATA_DIR", str(tmp_path / "data"))


def faults(*, dev: bool = False, **given: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Config.load(dev=dev, **given)
    return caught.value.faults


def production(**given: Any) -> Config:
    whole = {"jwt_secret": STRONG, "public_url": "https://talk.example"}
    return Config.load(**(whole | given))
