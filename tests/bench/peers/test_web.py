"""What FastAPI is installed by."""

import importlib.util
import re
import shutil
import sys
import tomllib

import pytest

from tests.bench.children import ROOT
from tests.bench.peers.built import Unavailable
from tests.bench.peers.web import REQUIREMENTS, installer


def names(lines: list[str]) -> set[str]:
    return {re.split(r"[^\w-]", line)[0].lower() for line in lines if not line.startswith("#")}


def test_pip_comes_before_uv_and_one_of_them_must_be_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: object())
    assert installer()[:3] == (sys.executable, "-m", "pip")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert installer()[:3] == ("/bin/uv", "pip", "install")
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(Unavailable, match="neither pip nor uv"):
        installer()


def test_the_project_depends_on_nothing_that_is_installed_to_compare_with() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ours = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        ours += extra
    theirs = names(REQUIREMENTS.read_text().splitlines())
    assert theirs == {"fastapi", "uvicorn", "httptools"}
    assert not theirs & names(ours)
