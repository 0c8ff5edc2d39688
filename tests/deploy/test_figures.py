"""The reader of PromQL finds what is wrong."""

from __future__ import annotations

import pytest

from tests.deploy.figures import Figures, read_expression

FIGURES = Figures(
    labels={
        "talktime_http_request_seconds_bucket": {"route", "status", "le"},
        "talktime_ready": set(),
    }
)


def test_an_expression_is_read() -> None:
    asked = read_expression(
        'sum by (le, route) (rate(talktime_x_bucket{status=~"a|b",route!="by"}[5m])) / talktime_y'
    )
    assert asked.labels == {"talktime_x_bucket": {"status", "route"}, "talktime_y": set()}
    assert (asked.grouped, asked.odd) == ({"le", "route"}, set())


@pytest.mark.parametrize(
    "text",
    [
        "(sum(talktime_ready) or vector(0)) == 0",
        'max by (instance) (talktime_ready{instance=~"$instance"}) > 1.5',
        "histogram_quantile(0.9, sum by (le) "
        '(rate(talktime_http_request_seconds_bucket{status=~"5.."}[$__rate_interval])))',
    ],
)
def test_what_the_server_can_answer_is_right(text: str) -> None:
    assert list(FIGURES.wrong_with(text)) == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("sum(talktime_redy)", "no figure talktime_redy"),
        ('talktime_ready{rout="x"}', "talktime_ready has no label rout"),
        ("sum by (status) (talktime_ready)", "no label status to group by"),
        ("sun(talktime_ready)", "unknown word sun"),
        ("talktime_http_request_seconds", "no figure talktime_http_request_seconds"),
        ("vector(0)", "it asks for no figure"),
    ],
)
def test_what_it_cannot_is_named(text: str, wrong: str) -> None:
    assert wrong in list(FIGURES.wrong_with(text))
