"""Phones with sound, against a whole server."""

from tests.signalling.client.load.conftest import Town


async def test_calls_with_sound_are_answered_rejected_and_cancelled(town: Town) -> None:
    mix = {"answered": 1.0, "rejected": 1.0, "cancelled": 1.0}
    report = await town.load(mix, calls=5, couples=1, mode="media", seed=1)
    assert (report.violations, report.errors) == ([], {})
    assert (report.done, report.failed) == (5, 0)
    assert set(report.outcomes) == set(mix)
    assert {"connect", "request", "ring", "answer", "connected", "tick", "end"} <= set(
        report.phases
    )
    assert report.compared == 5
