"""The sandbox's own counter: a page with two buttons, where a developer plays the payer.

Plain HTML and a form; no script, no font, no picture from anywhere.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from string import Template
from typing import Literal
from urllib.parse import parse_qs

import msgspec
from aiohttp import hdrs, web

from rest.http.body import read_raw
from rest.http.errors import Problem
from rest.http.money import spell
from rest.http.reply import reply
from rest.payments.gateways.sandbox import Deposit, SandboxGateway
from signalling.events import Shape

FORM_BYTES_MAX = 1_024
PATH = "/sandbox/checkout/{reference:[A-Za-z0-9_-]+}"

STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#66707f;--paper:#f3f5f8;--card:#fff;
--line:#dfe4ea;--go:#0f7b53;--no:#b3362b}
@media (prefers-color-scheme:dark){:root{--ink:#e8ecf1;--soft:#9aa5b3;--paper:#12161c;
--card:#1b212a;--line:#2f3843;--go:#1f9d6d;--no:#d4574b}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:24px;background:var(--paper);
color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{width:100%;max-width:400px;padding:32px;background:var(--card);border:1px solid var(--line);
border-radius:16px}
.tag{display:inline-block;padding:2px 10px;border:1px solid var(--line);border-radius:999px;
color:var(--soft);font-size:13px}
h1{margin:20px 0 4px;font-size:40px;line-height:1.1;font-weight:650;letter-spacing:-.02em}
p{margin:8px 0;color:var(--soft);overflow-wrap:anywhere}
form{display:grid;gap:10px;margin-top:24px}
button{padding:13px;border:1px solid transparent;border-radius:10px;font:inherit;font-weight:600;
cursor:pointer}
button[value=pay]{background:var(--go);color:#fff}
button[value=decline]{background:none;border-color:var(--line);color:var(--no)}
button:focus-visible{outline:3px solid var(--soft);outline-offset:2px}
.paid{color:var(--go);font-weight:600}.failed{color:var(--no);font-weight:600}
small{display:block;margin-top:20px;color:var(--soft);overflow-wrap:anywhere}
"""
PAGE = Template(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>Sandbox checkout</title>
<style>$style</style>
</head>
<body>
<main>
<span class="tag">Sandbox: no real money</span>
$content
</main>
</body>
</html>
"""
)
BUTTONS = """<form method="post">
<button name="outcome" value="pay">Pay</button>
<button name="outcome" value="decline">Decline</button>
</form>"""
UNTOLD = (
    '<p role="status">The server could not be told. Ask it to verify the payment, '
    "or press again.</p>"
)
_STYLE_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    hdrs.CACHE_CONTROL: "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}


class _Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    outcome: Literal["pay", "decline"]


class Pressed(Shape, frozen=True):
    """`status` is paid or failed; `delivered` says whether the webhook got through."""

    status: str
    delivered: bool


class SandboxPages:
    def __init__(self, gateway: SandboxGateway, *, currency_exponent: int = 0) -> None:
        self._gateway = gateway
        self._exponent = currency_exponent

    def table(self) -> list[web.RouteDef]:
        """For `app.add_routes`; the pages are no part of the API, so no `Route` records."""
        return [web.get(PATH, self.show), web.post(PATH, self.press)]

    async def show(self, request: web.Request) -> web.Response:
        deposit = await self._gateway.deposit(request.match_info["reference"])
        if deposit is None:
            return _page("<h1>Not found</h1><p>There is no such order here.</p>", status=404)
        return _page(_counter(deposit, self._exponent, told="untold" not in request.query))

    async def press(self, request: web.Request) -> web.StreamResponse:
        """The payer's choice, from the form or as JSON `{"outcome": "pay" | "decline"}`.

        Raises:
            Problem: 400 INVALID_PAYLOAD, 404 NOT_FOUND.
        """
        raw = await read_raw(request, FORM_BYTES_MAX)
        is_json = request.content_type == "application/json"
        choice = _choice(raw, is_json=is_json)
        reference = request.match_info["reference"]
        if await self._gateway.deposit(reference) is None:
            raise Problem(404, "NOT_FOUND", "There is no such order here.")
        delivered = await self._gateway.pay(reference, paid=choice.outcome == "pay")
        deposit = await self._gateway.deposit(reference)
        assert deposit is not None
        if is_json:
            return reply(Pressed(status=deposit.found, delivered=delivered))
        back = request.path if delivered else f"{request.path}?untold"
        return web.Response(status=303, headers={hdrs.LOCATION: back, **HEADERS})


def _choice(raw: bytes, *, is_json: bool) -> _Choice:
    try:
        if is_json:
            return msgspec.json.decode(raw, type=_Choice)
        fields = parse_qs(raw.decode("ascii"), max_num_fields=4)
        return msgspec.convert({name: values[0] for name, values in fields.items()}, _Choice)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise Problem(
            400, "INVALID_PAYLOAD", "outcome is pay or decline.", {"field": "outcome"}
        ) from None


def _counter(deposit: Deposit, exponent: int, *, told: bool) -> str:
    order = deposit.order
    amount = spell(order.amount_minor, order.currency, exponent)
    parts = [f"<h1>{escape(amount)}</h1>"]
    parts.append(f"<p>{escape(order.description or 'Top-up of your wallet')}</p>")
    if deposit.found == "paid":
        parts.append('<p class="paid" role="status">Paid. You can close this page.</p>')
    elif deposit.found == "failed":
        parts.append('<p class="failed" role="status">Declined. You may try again.</p>')
    if not told:
        parts.append(UNTOLD)
    if deposit.found != "paid" or not told:
        parts.append(BUTTONS)
    parts.append(f"<small>{escape(order.reference)}</small>")
    return "\n".join(parts)


def _page(content: str, status: int = 200) -> web.Response:
    html = PAGE.substitute(style=STYLE, content=content)
    return web.Response(
        text=html, status=status, content_type="text/html", charset="utf-8", headers=HEADERS
    )
