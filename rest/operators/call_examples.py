"""Answers of the routes about calls as the document shows them."""

from __future__ import annotations

from typing import Any

_ID = "0198f2a0-0000-7000-8000-00000000000"

_VIEW: dict[str, Any] = {
    "id": f"{_ID}1",
    "state": "connected",
    "kind": "audio",
    "caller": {"id": f"{_ID}2", "name": "Mia"},
    "callee": {"id": f"{_ID}3", "name": "Kai"},
    "node": "main-1",
    "createdAt": "2026-01-01T10:00:00Z",
    "ringingAt": "2026-01-01T10:00:01Z",
    "acceptedAt": "2026-01-01T10:00:04Z",
    "connectedAt": "2026-01-01T10:00:05Z",
    "endedAt": None,
    "reason": None,
    "endedBy": None,
    "talkSeconds": 62,
    "elapsedSeconds": 62,
    "units": 2,
    "charged": 240,
    "earned": 168,
    "refunded": 0,
    "currency": "PTS",
    "quality": {"caller": "good", "callee": "poor"},
}
LIST = {"items": [_VIEW], "total": 1, "limit": 20, "offset": 0}

_LEG: dict[str, Any] = {
    "device": "phone",
    "here": True,
    "media": True,
    "quality": "good",
    "relay": False,
    "audio": True,
    "video": False,
    "hold": False,
}
DETAIL = {
    "call": {
        **_VIEW,
        "connectOn": "media",
        "tariff": {
            "name": "minute",
            "pricePerMinute": 120,
            "currency": "PTS",
            "firstMs": 60000,
            "nextMs": 60000,
            "freeMs": 0,
            "connectFee": 0,
        },
        "legs": {"caller": _LEG, "callee": {**_LEG, "device": "tab", "quality": "poor"}},
        "meter": {
            "running": True,
            "billableMs": 62000,
            "held": 120,
            "balance": 760,
            "fundedUntil": "2026-01-01T10:03:05Z",
        },
        "billingUnits": [
            {"n": 1, "amount": 120, "total": 120, "at": "2026-01-01T10:00:05Z"},
            {"n": 2, "amount": 120, "total": 240, "at": "2026-01-01T10:01:05Z"},
        ],
        "refundedAt": None,
        "owners": 1,
    }
}


def _item(at: str, lane: str, kind: str, name: str, **details: object) -> dict[str, Any]:
    at = f"2026-01-01T10:{at}Z"
    return {"at": at, "lane": lane, "kind": kind, "name": name, "details": details}


TIMELINE = {
    "callId": f"{_ID}1",
    "items": [
        _item("00:00", "server", "state", "requested"),
        _item("00:00.012000", "caller", "input", "call_request"),
        _item("00:00.012000", "callee", "event", "call_incoming"),
        _item("00:04.300000", "callee", "input", "accepted", device="tab", audio=True, video=False),
        _item("00:04.450000", "callee", "input", "signal", signal="offer", gen=1, bytes=2310),
        _item("00:05.100000", "caller", "event", "call_connected"),
        _item(
            "00:05.104000",
            "money",
            "tick",
            "charged",
            n=1,
            amount=120,
            total=120,
            currency="PTS",
        ),
        _item(
            "00:05.104000",
            "money",
            "transfer",
            "platform_fee",
            **{
                "operation": "call_charge",
                "amount": 36,
                "currency": "PTS",
                "from": "call_credits",
                "fromOwner": "caller",
                "to": "platform_fee",
                "toOwner": "house",
            },
        ),
        _item(
            "00:41.900000",
            "operator",
            "audit",
            "call.end",
            by=f"{_ID}4",
            byName="Ada",
            reason="Reported by the callee.",
        ),
    ],
    "journals": [{"claim": 0, "node": "main-1", "live": True, "leftOut": 0, "reports": 12}],
    "missing": 0,
    "truncated": False,
}
