"""What the live part of a server shows to Prometheus."""

from __future__ import annotations

from pathlib import Path

from tests.server.running import development, running
from tests.server.test_watching import scrape


async def test_the_gauges_show_what_is_there_now(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path)) as there:
        text = scrape(there.server.metrics)
        assert "talktime_ws_connections 0.0" in text
        assert "talktime_calls_active 0.0" in text
        assert "talktime_ledger_waiting 0.0" in text
        assert "talktime_calls_turned_away_total 0.0" in text
        assert 'talktime_sessions_resumed_total{outcome="resumed"} 0.0' in text
        session = await there.site.login("mia@demo.talktime")
        await there.site.device(session, "mia")
        there.server.gate.refused = 3
        text = scrape(there.server.metrics)
        assert "talktime_ws_connections 1.0" in text
        assert "talktime_calls_turned_away_total 3.0" in text
        assert 'talktime_sessions_resumed_total{outcome="fresh"} 1.0' in text
