from pathlib import Path

from server.run import database
from tests.server.running import development


def test_a_given_database_is_used_as_it_is(tmp_path: Path) -> None:
    url = "postgresql://talk@127.0.0.1/talk"
    with database(development(tmp_path, database_url=url), exclusive=True) as dsn:
        assert dsn == url
    assert not (tmp_path / "postgres").exists()
