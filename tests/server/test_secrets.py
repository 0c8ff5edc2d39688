from __future__ import annotations

from pathlib import Path

import pytest

from server.secrets import development_secrets, weaknesses
from storage.ids import new_secret


def test_random_secrets_are_strong() -> None:
    assert [weaknesses(new_secret()) for _ in range(200)] == [[]] * 200


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("kD83hf-2Qpw", "fewer than 32 bytes"),
        ("ab" * 20, "fewer than 10 different bytes"),
        ("change-me-please-change-me-please-change-me", "well-known"),
        ("0123456789ABCDEF0123456789abcdef", "well-known"),
        ("talktime-secret-talktime-secret-talk", "well-known"),
    ],
)
def test_a_weak_secret_is_named_by_its_weakness(secret: str, reason: str) -> None:
    found = weaknesses(secret)
    assert any(reason in line for line in found)
    assert not any(secret in line for line in found)


def test_development_secrets_are_made_once_and_kept_private(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secrets.json"
    first = development_secrets(path, ["a"])
    assert path.stat().st_mode & 0o777 == 0o600
    again = development_secrets(path, ["a", "b"])
    assert again["a"] == first["a"] != again["b"]
    assert development_secrets(path, ["b", "a"]) == again
    assert [each.name for each in path.parent.iterdir()] == ["secrets.json"]
    assert not any(weaknesses(secret) for secret in again.values())


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    development_secrets(path, ["a"])
    path.chmod(0o644)
    with pytest.raises(ValueError, match="read by others"):
        development_secrets(path, ["a"])


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', "{"])
def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secrets.json"
    path.touch(0o600)
    path.write_text(content)
    with pytest.raises(ValueError):
        development_secrets(path, ["a"])
    assert path.read_text() == content
