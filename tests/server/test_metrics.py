"""Who may read the figures, and what they say."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import generate_latest

from server.metrics import Metrics, is_loopback

TOKEN = "a token for the machine that collects the figures"
Client = TestClient[web.Request, web.Application]


def app_of(metrics: Metrics, remote: str | None) -> web.Application:
    """An app that is asked from `remote`, or from this host."""

    async def handle(request: web.Request) -> web.Response:
        return await metrics.handle(request if remote is None else request.clone(remote=remote))

    app = web.Application()
    app.router.add_get("/metrics", handle)
    return app


@pytest.fixture
async def near() -> AsyncIterator[tuple[Client, Metrics]]:
    metrics = Metrics()
    client = TestClient(TestServer(app_of(metrics, None)))
    await client.start_server()
    yield client, metrics
    await client.close()


async def ask(metrics: Metrics, remote: str | None, authorization: str | None = None) -> int:
    headers = {} if authorization is None else {"Authorization": authorization}
    async with (
        TestClient(TestServer(app_of(metrics, remote))) as client,
        client.get("/metrics", headers=headers) as answer,
    ):
        return answer.status


async def test_this_host_may_always_read() -> None:
    assert await ask(Metrics(), None) == 200
    assert await ask(Metrics(TOKEN), None) == 200


@pytest.mark.parametrize("remote", ["192.0.2.7", "2001:db8::7", "unknown", ""])
async def test_from_elsewhere_the_page_is_not_even_there(remote: str) -> None:
    assert await ask(Metrics(), remote) == 404
    assert await ask(Metrics(), remote, "Bearer ") == 404
    assert await ask(Metrics(TOKEN), remote) == 404


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"])
async def test_a_proxy_on_this_host_does_not_let_everybody_in(
    near: tuple[Client, Metrics], header: str
) -> None:
    client, _ = near
    async with client.get("/metrics", headers={header: "127.0.0.1"}) as answer:
        assert answer.status == 404


async def test_the_token_lets_in_from_anywhere_and_nothing_like_it_does() -> None:
    metrics, far = Metrics(TOKEN), "192.0.2.7"
    assert await ask(metrics, far, f"Bearer {TOKEN}") == 200
    for wrong in (TOKEN, f"bearer {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer ü"):
        assert await ask(metrics, far, wrong) == 404


@pytest.mark.parametrize(
    ("remote", "here"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("::", False),
        (None, False),
        ("/run/socket", False),
    ],
)
def test_this_host_is_known_by_its_loopback_addresses(remote: str | None, here: bool) -> None:
    assert is_loopback(remote) is here


async def test_requests_are_counted_by_template_and_gauges_read_when_asked(
    near: tuple[Client, Metrics],
) -> None:
    client, metrics = near
    size = [3]
    metrics.watch("talktime_test_things", "Things.", lambda: size[0])
    metrics.observe("GET", "/calls/{id}", 200, 0.004)
    metrics.observe("GET", "/calls/{id}", 200, 2.0)
    metrics.calls_ended.labels("hangup").inc()
    metrics.call_adopted("revived")
    size[0] = 5
    async with client.get("/metrics") as answer:
        text = await answer.text()
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    labels = 'method="GET",route="/calls/{id}",status="200"'
    assert f"talktime_http_request_seconds_count{{{labels}}} 2.0" in text
    assert f'talktime_http_request_seconds_bucket{{le="0.005",{labels}}} 1.0' in text
    assert "talktime_test_things 5.0" in text
    assert 'talktime_calls_ended_total{reason="hangup"} 1.0' in text
    assert 'talktime_calls_adopted_total{how="revived"} 1.0' in text


def test_heartbeats_are_no_slices_and_questions_no_webhooks() -> None:
    metrics = Metrics()
    metrics.slice_written(0.001, 0)
    metrics.slice_written(0.004, 7)
    metrics.gateway_spoke("stripe", "webhook", "seen")
    metrics.gateway_spoke("stripe", "question", "completed")
    metrics.job_done("greet", "retried", 0.5)
    read = metrics.registry.get_sample_value
    assert read("talktime_ledger_slice_seconds_count") == 1
    assert read("talktime_ledger_slice_works_sum") == 7
    assert read("talktime_webhooks_total", {"gateway": "stripe", "outcome": "seen"}) == 1
    assert read("talktime_webhooks_total", {"gateway": "stripe", "outcome": "completed"}) is None
    assert read("talktime_payments_completed_total", {"gateway": "stripe"}) == 1
    assert read("talktime_jobs_done_total", {"name": "greet", "outcome": "retried"}) == 1
    assert read("talktime_jobs_seconds_sum", {"name": "greet"}) == 0.5


def test_the_version_that_runs_is_said() -> None:
    read = Metrics(version="1.2.3").registry.get_sample_value
    assert read("talktime_build_info", {"version": "1.2.3"}) == 1


def test_several_servers_of_one_process_count_for_themselves() -> None:
    one, other = Metrics(), Metrics()
    one.call_adopted("handed")
    assert (
        other.registry.get_sample_value("talktime_calls_adopted_total", {"how": "handed"}) is None
    )


def test_counters_that_others_keep_are_read_when_asked() -> None:
    metrics, sent, outcomes = Metrics(), [1], {"resumed": 1, "fresh": 0}
    metrics.watch_count("talktime_test_sent_total", "Sent.", lambda: sent[0])
    metrics.watch_counts("talktime_test_met_total", "Met.", "outcome", lambda: outcomes)
    sent[0] = 4
    outcomes["fresh"] = 2
    text = generate_latest(metrics.registry).decode()
    assert "# TYPE talktime_test_sent_total counter\ntalktime_test_sent_total 4.0\n" in text
    assert 'talktime_test_met_total{outcome="resumed"} 1.0\n' in text
    assert 'talktime_test_met_total{outcome="fresh"} 2.0\n' in text


def test_every_figure_can_be_read_in_the_process() -> None:
    metrics = Metrics()
    metrics.push_went("fcm", "sent")
    labels = {"adapter": "fcm", "outcome": "sent"}
    assert ("talktime_pushes_total", labels, 1.0) in list(metrics.samples())


def test_a_name_is_given_once() -> None:
    metrics = Metrics()
    metrics.watch_count("talktime_test_sent_total", "Sent.", lambda: 0)
    with pytest.raises(ValueError, match="Duplicated"):
        metrics.watch_count("talktime_test_sent_total", "Sent again.", lambda: 0)
