"""The job that only says that it came."""

from __future__ import annotations

from structlog.testing import capture_logs

from rest.graphql import hello
from storage.pool import Connection


async def test_it_is_promised_and_done_without_its_text_in_the_log(conn: Connection) -> None:
    await hello.promise(conn, "for Ann")
    row = await conn.fetchrow("select entrypoint, payload from pgqueuer")
    assert row is not None
    assert (row["entrypoint"], row["payload"]) == (hello.JOB, b'{"message":"for Ann"}')
    with capture_logs() as logs:
        await hello.say_hello({"message": "for Ann"})
    assert logs == [{"event": "hello_job", "chars": 7, "log_level": "info"}]
