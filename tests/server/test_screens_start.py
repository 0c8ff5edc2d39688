"""The box at the start says what a person needs next, and no secret."""

from pathlib import Path

import pytest

from server.config import Config
from server.demo_accounts import DEMO, DEMO_PASSWORD
from server.screens_start import WIDTH, shown_url, start_box

SECRET = "Jx3-vT0qZ8mB_wL5yR2kN7pD4sF9hG1c"


def box(config: Config, *, recovered: int = 0, url: str = "http://127.0.0.1:8080") -> str:
    return start_box(config, url=url, version="1.2.3", recovered=recovered)


def development(tmp_path: Path) -> Config:
    return Config.load(dev=True, data_dir=tmp_path)


def production(tmp_path: Path, database_url: str) -> Config:
    return Config.load(
        data_dir=tmp_path,
        jwt_secret=SECRET,
        public_url="https://talk.example",
        database_url=database_url,
    )


def test_development_shows_addresses_accounts_and_the_next_command(tmp_path: Path) -> None:
    text = box(development(tmp_path))
    for each in (
        "Talktime 1.2.3 · development: do not expose",
        "REST",
        "http://127.0.0.1:8080",
        "ws://127.0.0.1:8080/ws",
        "/api-docs",
        "/openapi.json",
        "ada@demo.talktime   admin",
        "embedded PostgreSQL",
        DEMO_PASSWORD,
        "make demo",
        *[person.email for person in DEMO],
        "120 PTS a minute",
        "1000 PTS to spend at first",
    ):
        assert each in text
    assert "Recovered" not in text
    lines = text.splitlines()
    assert lines[0].startswith("╭")
    assert lines[-1].endswith("╯")
    assert {len(line) for line in lines} == {WIDTH}


def test_production_shows_no_account_and_no_secret(tmp_path: Path) -> None:
    url = f"postgresql://talk:{SECRET[::-1]}@127.0.0.1/talk"
    text = box(production(tmp_path, url), url="https://talk.example")
    assert "production" in text
    assert "given by DATABASE_URL" in text
    assert "wss://talk.example/ws" in text
    assert "demo" not in text
    assert SECRET not in text
    assert SECRET[::-1] not in text


def test_calls_of_the_last_run_that_go_on_are_mentioned(tmp_path: Path) -> None:
    assert "3 calls go on where they stood" in box(development(tmp_path), recovered=3)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://127.0.0.1:80"),
        ("::1", "http://[::1]:80"),
        ("talk.example", "http://talk.example:80"),
    ],
)
def test_the_address_shown_is_one_that_can_be_opened(host: str, url: str) -> None:
    assert shown_url(host, 80) == url
