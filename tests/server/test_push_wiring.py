from __future__ import annotations

from typing import Any

from server.config import Config
from server.push.queue import PushQueue
from server.push_wiring import make_push, push_terms
from storage.pool import Pool
from tests.server.settings import clean_environment, production
from tests.server.test_push_settings import WEBHOOK, WEBPUSH, files
from tests.signalling.harness import FakeTime

__all__ = ["clean_environment", "files"]


def made(config: Config, pool: Any) -> PushQueue:
    time = FakeTime()
    return make_push(config, pool, time, time.later, lambda *_: None, lambda _: True)


def test_nothing_is_on_by_default(pool: Pool) -> None:
    config = production()
    assert not made(config, pool).enabled
    assert push_terms(config).providers == frozenset()
    assert push_terms(config).vapid_public_key is None


async def test_each_kind_is_on_when_its_settings_are_there(
    pool: Pool, files: dict[str, Any]
) -> None:
    config = production(**WEBHOOK, **WEBPUSH, **files)
    queue = made(config, pool)
    assert queue.enabled
    await queue.stop()
    terms = push_terms(config)
    assert terms.providers == {"webhook", "webpush", "fcm", "apns"}
    assert terms.vapid_public_key is not None
    assert len(terms.vapid_public_key) == 87
    assert not terms.plain
    assert "fcm.googleapis.com" in terms.hosts
    assert push_terms(production(**WEBHOOK, webpush_hosts="a.example, b.example")).hosts == (
        "a.example",
        "b.example",
    )
