"""The commit a result names."""

import subprocess
from pathlib import Path

import pytest

from tests.bench import environment


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@localhost", "commit", "-qm", "one")
    return tmp_path


def git(root: Path, *command: str) -> str:
    said = subprocess.run(["git", "-C", root, *command], check=True, capture_output=True, text=True)
    return said.stdout.strip()


def test_the_commit_is_that_of_the_tree(tree: Path) -> None:
    assert environment.commit(tree) == git(tree, "rev-parse", "HEAD")


def test_a_tree_with_changes_is_dirty(tree: Path) -> None:
    (tree / "file").write_text("two")
    assert environment.commit(tree) == git(tree, "rev-parse", "HEAD") + "-dirty"


def test_what_is_no_repository_has_no_commit(tmp_path: Path) -> None:
    assert environment.commit(tmp_path) == ""
