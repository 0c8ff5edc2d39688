"""What may be registered, and to which addresses the server lets itself be sent."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from msgspec.structs import replace

from rest.devices.bodies import Registration, Subscription, SubscriptionKeys
from rest.devices.rules import endpoint_fault, wish_of
from rest.http.errors import Problem
from storage.devices import Wish

HOSTS = ("push.example", "fcm.googleapis.com")
POINT, AUTH = b"\4" + b"k" * 64, b"a" * 16
PHONE = Registration(
    device_id="phone", platform="android", provider="fcm", token="fGx2yP0LQ0u7:APA91b-H"
)


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


def browser(**changes: Any) -> Registration:
    keys = SubscriptionKeys(p256dh=text(POINT).rstrip("="), auth=text(AUTH))
    subscription = Subscription(endpoint="https://push.example/send/1", keys=keys)
    subscription = replace(subscription, **changes)
    return Registration(
        device_id="tab", platform="web", provider="webpush", subscription=subscription
    )


def refused(body: Registration) -> object:
    """The field that is to blame."""
    with pytest.raises(Problem) as problem:
        wish_of(body, hosts=HOSTS)
    assert (problem.value.status, problem.value.code) == (400, "INVALID_PAYLOAD")
    return problem.value.details["field"]


def test_a_token_and_a_subscription_become_wishes() -> None:
    assert wish_of(PHONE, hosts=()) == Wish(
        device_id="phone", platform="android", provider="fcm", target="fGx2yP0LQ0u7:APA91b-H"
    )
    assert wish_of(browser(), hosts=HOSTS) == Wish(
        device_id="tab",
        platform="web",
        provider="webpush",
        target="https://push.example/send/1",
        p256dh=POINT,
        auth=AUTH,
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"device_id": "rest"}, "deviceId"),
        ({"device_id": "a b"}, "deviceId"),
        ({"device_id": "phone\n"}, "deviceId"),
        ({"platform": "ios"}, "platform"),
        ({"token": None}, "token"),
        ({"token": "short"}, "token"),
        ({"token": "fGx2yP0LQ0u7/../../x"}, "token"),
        ({"subscription": browser().subscription}, "subscription"),
        ({"provider": "apns"}, "platform"),
        ({"provider": "apns", "platform": "ios", "token": "xy" * 32}, "token"),
        ({"provider": "apns", "platform": "ios", "token": "ab" * 31}, "token"),
        ({"provider": "webhook", "token": "a b"}, "token"),
        ({"provider": "webpush", "platform": "web"}, "subscription"),
    ],
)
def test_what_does_not_belong_together_is_named(changes: dict[str, Any], field: str) -> None:
    assert refused(replace(PHONE, **changes)) == field


@pytest.mark.parametrize("platform", ["ios", "android", "web"])
def test_the_operator_s_webhook_is_for_any_platform(platform: Any) -> None:
    body = replace(PHONE, platform=platform, provider="webhook", token="x")
    assert wish_of(body, hosts=()).platform == platform


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        (SubscriptionKeys(p256dh="!" * 20, auth=text(AUTH)), "subscription.keys.p256dh"),
        (
            SubscriptionKeys(p256dh=text(b"\2" + b"k" * 64), auth=text(AUTH)),
            "subscription.keys.p256dh",
        ),
        (SubscriptionKeys(p256dh=text(POINT[:-1]), auth=text(AUTH)), "subscription.keys.p256dh"),
        (SubscriptionKeys(p256dh=text(POINT), auth=text(AUTH + b"a")), "subscription.keys.auth"),
        (SubscriptionKeys(p256dh=text(POINT), auth="ä" * 20), "subscription.keys.auth"),
    ],
)
def test_keys_that_no_browser_makes_are_named(keys: SubscriptionKeys, field: str) -> None:
    assert refused(browser(keys=keys)) == field


def test_a_browser_has_no_token_and_a_trusted_service() -> None:
    assert refused(replace(browser(), token="x")) == "token"
    assert refused(browser(endpoint="https://evil.example/")) == "subscription.endpoint"


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://push.example/",
        "https://push.example:443/send/1?a=b",
        "https://eu1.push.example/send/a%2Fb",
        "https://fcm.googleapis.com/fcm/send/abc:APA91b-H_x",
    ],
)
def test_trusted_services_are_sent_to(endpoint: str) -> None:
    assert endpoint_fault(endpoint, HOSTS) is None


@pytest.mark.parametrize(
    "endpoint",
    [
        *("", "push.example", "//push.example/", "https://push.example"),
        *("http://push.example/", "ftp://push.example/", "HTTPS://push.example/"),
        *("https://push.example:8443/", "https://evil.example/", "https://push.example.evil/"),
        *("https://evilpush.example/", "https://push.example@evil.example/"),
        *("https://user:pass@push.example/", "https://push.example\\@evil.example/"),
        *("https://127.0.0.1/", "https://[::1]/", "https://2130706433/", "https://localhost/"),
        *("https://push.example/ x", "https://push.example/\n", "https://push.example/ä"),
        *("https://push.example#@evil.example/", "https://PUSH.example/"),
        "http://127.0.0.1:8080/",
    ],
)
def test_others_are_not(endpoint: str) -> None:
    assert endpoint_fault(endpoint, HOSTS) is not None


def test_development_also_sends_to_this_machine() -> None:
    assert endpoint_fault("http://127.0.0.1:8080/send", (), plain=True) is None
    for other in ("http://10.0.0.1:80/", "http://127.0.0.1/", "http://127.0.0.1:80@evil.example/"):
        assert endpoint_fault(other, (), plain=True) is not None
