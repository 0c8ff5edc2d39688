"""All routes wired together, and the document made of them."""

import re
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from openapi_spec_validator import validate

from rest.http.openapi import answer_example, body_example
from rest.http.signature import sign
from rest.media.routes import SIGNATURE_HEADER
from server.config import Config
from server.routes import TAGS
from storage.ids import new_id
from tests.rest.account.drawing import drawn
from tests.rest.payments.gateways import fake_monnify, fake_stripe
from tests.rest.payments.gateways.fake_monnify import FakeMonnify
from tests.rest.payments.gateways.fake_stripe import FakeStripe
from tests.server.running import Running, development, running
from tests.storage.bucket import bucket_server

HOOKS = "Jx3-vT0qZ8mB_wL5yR2kN7pD4sF9hG1c"
# Pages and documents; no operation of the API.
BESIDE = {
    "/",
    "/console",
    "/site.json",
    "/assets/{path}",
    "/ws",
    "/ws/call",
    "/metrics",
    "/openapi.json",
    "/asyncapi.json",
    "/api-docs",
    "/api-docs/{name}",
    "/api",
    "/graphiql",
    "/graphiql/{name}",
}


def served(there: Running) -> set[tuple[str, str]]:
    """Method and path of everything the router answers, in the document's spelling."""
    found = set()
    for route in there.app.router.routes():
        assert route.resource is not None
        if route.method != "HEAD":
            found.add((route.method, _template(route.resource.get_info())))
    return found


def _template(info: Any) -> str:
    return str(info.get("path") or info["formatter"])


async def document(there: Running) -> dict[str, Any]:
    async with there.site.http.get(f"{there.site.url}/openapi.json") as answer:
        assert answer.status == 200
        found: dict[str, Any] = await answer.json()
    return found


def documented(found: dict[str, Any]) -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, item in found["paths"].items() for method in item}


async def test_every_route_is_in_the_document_and_the_document_is_valid(
    dsn: str, tmp_path: Path
) -> None:
    async with running(dsn, development(tmp_path)) as there:
        found = await document(there)
        validate(found)
        pages = {("GET", path) for path in BESIDE}
        sandbox = {each for each in served(there) if each[1].startswith("/sandbox/")}
        assert sandbox
        # It has a schema of its own, which it tells.
        graphql = {("POST", "/graphql")}
        assert served(there) - pages - sandbox - graphql == documented(found)


async def test_every_operation_explains_itself(dsn: str, tmp_path: Path) -> None:
    """Summary, a tag that is explained, and examples that decode into what they are examples of."""
    async with running(dsn, development(tmp_path)) as there:
        routes = there.server.routes
    wrong = []
    for route in routes:
        if not route.summary or route.tag not in TAGS:
            wrong.append((route.method, route.path, "summary or tag"))
        try:
            msgspec.convert(answer_example(route), route.returns)
            if route.body is not None:
                msgspec.convert(body_example(route), route.body)
        except msgspec.ValidationError as error:
            wrong.append((route.method, route.path, str(error)))
    assert wrong == []


async def test_what_the_document_calls_public_is_public_and_nothing_else(
    dsn: str, tmp_path: Path
) -> None:
    async with running(dsn, development(tmp_path)) as there:
        found = await document(there)
        wrong = []
        for method, path in sorted(documented(found)):
            operation = found["paths"][path][method.lower()]
            named = path.replace("{reference}", "pay_x")
            given = "1" if path.startswith("/jobs/") else str(new_id())
            url = there.site.url + re.sub(r"\{[a-z_]+\}", given, named)
            async with there.site.http.request(method, url) as answer:
                # Where the body is the proof, a public route may refuse it with a 401 as well.
                closed = answer.status == 401 and not path.startswith("/auth/")
                if operation["security"] and answer.status != 401:
                    wrong.append((method, path, answer.status))
                if closed and not operation["security"]:
                    wrong.append((method, path, answer.status))
        assert wrong == []


async def test_media_hooks_are_there_only_with_a_secret(dsn: str, tmp_path: Path) -> None:
    path = f"/sfu/calls/{new_id()}/connected"
    async with running(dsn, development(tmp_path)) as there:
        assert not any(path.startswith("/sfu") for _, path in served(there))
        async with there.site.http.post(there.site.url + path) as answer:
            assert answer.status == 404
            assert (await answer.json())["error"] == "NOT_FOUND"
    async with running(dsn, development(tmp_path, media_hook_secret=HOOKS)) as there:
        assert {path for _, path in documented(await document(there)) if path.startswith("/sfu")}
        header = sign(HOOKS.encode(), b"", there.server.clock() // 1000)
        async with there.site.http.post(
            there.site.url + path, headers={SIGNATURE_HEADER: header}
        ) as answer:
            assert (answer.status, (await answer.json())["error"]) == (404, "CALL_NOT_FOUND")
        async with there.site.http.post(there.site.url + path) as answer:
            assert answer.status == 401


async def test_production_has_no_sandbox_no_demo_accounts_and_no_debugging(
    dsn: str, tmp_path: Path
) -> None:
    config = Config.load(
        data_dir=tmp_path, jwt_secret=HOOKS, public_url="https://talk.example", rate_minor=60
    )
    async with running(dsn, config) as there:
        assert not any(path.startswith("/sandbox") for _, path in served(there))
        body = {"email": "mia@demo.talktime", "password": "talktime-demo"}
        async with there.site.http.post(f"{there.site.url}/auth/login", json=body) as answer:
            assert answer.status == 401
            assert "Strict-Transport-Security" in answer.headers
        person = {"name": "Ann", "email": "ann@example.org", "password": "pass-word-1"}
        async with there.site.http.post(f"{there.site.url}/auth/signup", json=person) as answer:
            session = await answer.json()
        status, refused = await there.site.ask(
            session, "POST", "/payments", {"amount": 100, "method": "sandbox"}
        )
        assert (status, refused["error"]) == (400, "INVALID_METHOD")
        status, refused = await there.site.ask(
            session, "POST", "/calls/debug/end", {"callId": str(new_id())}
        )
        assert (status, refused["error"]) == (403, "NOT_ALLOWED")


async def test_gateways_with_keys_are_on_and_their_webhooks_are_heard(
    dsn: str, tmp_path: Path
) -> None:
    stripe, monnify = FakeStripe(), FakeMonnify()
    await stripe.start()
    await monnify.start()
    config = development(
        tmp_path,
        currency="NGN",
        currency_exponent=2,
        stripe_secret_key=fake_stripe.KEY,
        stripe_publishable_key=fake_stripe.PUBLISHABLE_KEY,
        stripe_webhook_secrets=fake_stripe.WEBHOOK_SECRET,
        stripe_api_url=stripe.url,
        monnify_api_key=fake_monnify.API_KEY,
        monnify_secret_key=fake_monnify.SECRET_KEY,
        monnify_contract_code=fake_monnify.CONTRACT_CODE,
        monnify_api_url=monnify.url,
    )
    async with running(dsn, config) as there:
        person = {"name": "Ann", "email": "ann@example.org", "password": "pass-word-1"}
        async with there.site.http.post(f"{there.site.url}/auth/signup", json=person) as answer:
            session = await answer.json()
        opened = {}
        for method in ("sandbox", "stripe", "monnify"):
            body = {"amount": 450_050, "method": method}
            status, opened[method] = await there.site.ask(session, "POST", "/payments", body)
            assert status == 201
        assert msgspec.json.decode(monnify.orders[0])["customerEmail"] == "ann@example.org"

        intent = stripe.intent_of(opened["stripe"]["payment"]["reference"])
        intent |= {"status": "succeeded", "amount_received": 450_050}
        paid = monnify.transaction(opened["monnify"]["payment"]["reference"])
        paid |= {"paymentStatus": "PAID", "amountPaid": 4500.5}
        by_stripe = stripe.event("payment_intent.succeeded", intent)
        by_monnify = monnify.event(paid["paymentReference"])
        now_s = there.server.clock() // 1000
        for raw, headers in (
            (by_stripe, {"Stripe-Signature": fake_stripe.sign(by_stripe, now_s)}),
            (by_monnify, {"monnify-signature": fake_monnify.sign(by_monnify)}),
        ):
            url = f"{there.site.url}/payments/webhook"
            async with there.site.http.post(url, data=raw, headers=headers) as answer:
                assert (await answer.json())["outcome"] == "completed"
        _, balance = await there.site.ask(session, "GET", "/wallet/balance")
        assert balance["balance"] == 900_100
    await stripe.close()
    await monnify.close()


async def test_a_path_that_is_not_there_is_a_json_404(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path)) as there:
        for path in ("/nowhere", "/calls/not-a-uuid", "/calls/1/billing"):
            async with there.site.http.get(there.site.url + path) as answer:
                assert (answer.status, (await answer.json())["error"]) == (404, "NOT_FOUND")


async def test_pictures_go_into_the_bucket_that_is_set(dsn: str, tmp_path: Path) -> None:
    async with bucket_server("an-access-key") as bucket:
        config = development(
            tmp_path,
            objects_url="s3://pictures",
            objects_endpoint=bucket.url,
            objects_access_key="an-access-key",
            objects_secret_key="a-secret-key",
            objects_public_url="https://pictures.example",
        )
        async with running(dsn, config) as there:
            mia = await there.site.login("mia@demo.talktime")
            form = aiohttp.FormData()
            form.add_field("avatar", drawn("PNG", (80, 80)), filename="me.png")
            async with there.site.http.put(
                f"{there.site.url}/user/avatar",
                data=form,
                headers={"Authorization": f"Bearer {mia['accessToken']}"},
            ) as answer:
                url = (await answer.json())["avatarUrl"]
            key = url.removeprefix("https://pictures.example/")
            assert list(bucket.kept) == [f"/pictures/{key}"]
            async with there.site.http.get(f"{there.site.url}/media/{key}") as answer:
                assert await answer.read() == bucket.kept[f"/pictures/{key}"][0]
