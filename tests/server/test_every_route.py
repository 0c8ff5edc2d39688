"""What holds for every route there is: who may ask, and what nobody may send.

One walk for each rule, over the whole route table. A walk collects all that is wrong.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import msgspec
import pytest

from rest.http.body import BODY_BYTES_MAX
from rest.http.openapi import body_example
from rest.http.upload import AROUND_BYTES_MAX, FORM
from server.middlewares import SECURITY_HEADERS
from signalling.examples import example_of
from storage.ids import new_id
from tests.rest.harness import Answer
from tests.server.owned import ANYBODYS, FREE, SIGNED, THEIRS
from tests.server.walk import ROLES, Operation, Walk, walking

MALFORMED = ("1", "not-a-uuid", f"{new_id()}0", "%00", "..%2f..%2fetc%2fpasswd", "%7Bid%7D")
# Who asks for these makes the id up.
CHOSEN = {"POST /calls"}
# Owners are asked for reading before what is asked for may be gone.
ORDER = ("GET", "PUT", "PATCH", "POST", "DELETE")


@pytest.fixture
async def walk(dsn: str, tmp_path: Path) -> AsyncIterator[Walk]:
    async with walking(dsn, tmp_path) as found:
        yield found


def said(operation: Operation, answer: Answer) -> tuple[str, int, object, object]:
    """What a walk tells of an answer that should have been another one."""
    details = answer.body.get("details")
    return str(operation), answer.status, answer.body.get("error"), details


async def test_without_a_valid_token_nobody_learns_anything(walk: Walk) -> None:
    valid = walk.token(walk.owner)
    tokens = {
        None: "UNAUTHORIZED",
        "garbage": "UNAUTHORIZED",
        f"{valid[:-4]}AAAA": "UNAUTHORIZED",
        walk.token(walk.owner, age_s=86_400): "TOKEN_EXPIRED",
    }
    wrong = []
    for each in walk.operations:
        for token, code in tokens.items() if each.route.auth else ():
            answer = await walk.ask(each, token=token, body=body_of(each))
            challenge = answer.headers.get("www-authenticate", "")
            if (answer.status, answer.body["error"]) != (401, code) or "Bearer" not in challenge:
                wrong.append((token, *said(each, answer)))
    assert wrong == []


async def test_a_role_that_is_asked_for_is_needed(walk: Walk) -> None:
    assert any(each.route.roles for each in walk.operations)
    wrong = []
    for each in walk.operations:
        if each.route.roles:
            others = tuple(role for role in ROLES if role not in each.route.roles)
            token = walk.token(walk.owner, roles=others)
            answer = await walk.ask(each, token=token, body=body_of(each))
            if (answer.status, answer.body["error"]) != (403, "FORBIDDEN"):
                wrong.append(said(each, answer))
    assert wrong == []


async def test_every_row_is_its_owners_alone(walk: Walk) -> None:
    """The stranger asks first: what they could change, the owner would miss."""
    stranger, owner = walk.token(walk.stranger), walk.token(walk.owner)
    wrong = []
    for each in sorted(walk.operations, key=lambda each: ORDER.index(each.route.method)):
        if "{" not in each.template or each.prefix in FREE or not each.route.auth:
            continue
        if each.route.roles:
            continue  # Theirs who have the role, whoever they are.
        answer = await walk.ask(each, token=stranger, body=body_of(each))
        if answer.status != 404:
            wrong.append(("stranger", *said(each, answer)))
        answer = await walk.ask(each, token=owner, body=body_of(each))
        if answer.status == 404:
            wrong.append(("owner", *said(each, answer)))
    assert wrong == []


async def test_an_id_in_a_body_is_its_owners_alone(walk: Walk) -> None:
    """To a stranger the owner's id is as good as one that belongs to nothing."""
    stranger = walk.token(walk.stranger)
    wrong = []
    for each in with_body(walk):
        if each.route.roles or str(each) in CHOSEN:
            continue
        ids = {name: walk.rows[row]["id"] for name, row in THEIRS.items()}
        body = {name: ids.get(name, value) for name, value in (body_of(each) or {}).items()}
        for name in id_fields(each):
            if name in ANYBODYS:
                continue
            there = await walk.ask(each, token=stranger, body={**body, name: ids[name]})
            nowhere = await walk.ask(each, token=stranger, body={**body, name: str(new_id())})
            if there.status < 400 or said(each, there) != said(each, nowhere):
                wrong.append((name, *said(each, there)))
    assert wrong == []


async def test_no_list_shows_a_row_of_somebody_else(walk: Walk) -> None:
    """Every path without parameters, asked by the owner, then by the stranger."""
    private = {
        text
        for each in walk.operations
        if each.route.auth and not each.route.roles and each.prefix in walk.rows
        for text in walk.rows[each.prefix].values()
    }
    lists = [
        each
        for each in walk.operations
        if each.route.method == "GET" and "{" not in each.template and not each.route.roles
    ]
    shown = {walk.owner: set[str](), walk.stranger: set[str]()}
    for each in lists:
        for user_id, seen in shown.items():
            answer = await walk.ask(each, token=walk.token(user_id))
            assert answer.status == 200, said(each, answer)
            seen |= {text for text in private if text.encode() in answer.raw}
    assert shown == {walk.owner: private, walk.stranger: set()}


async def test_an_id_that_is_none_is_a_path_that_is_not_there(walk: Walk) -> None:
    wrong = []
    for each in walk.operations:
        for text in MALFORMED if "{" in each.template else ():
            path = re.sub(r"\{[a-z_]+\}", text, each.template)
            answer = await walk.ask(each, path=path, token=walk.almighty(each), body=body_of(each))
            if answer.status != 404:
                wrong.append((path, *said(each, answer)))
    assert wrong == []


async def test_bodies_that_are_too_large_packed_or_no_json_are_refused(walk: Walk) -> None:
    packed = gzip.compress(b"{}")
    upload_bytes_max = walk.there.server.config.avatar_bytes_max + AROUND_BYTES_MAX
    wrong = []
    for each in walk.operations:
        bytes_max = upload_bytes_max if each.route.upload else BODY_BYTES_MAX
        kind = {"Content-Type": f"{FORM}; boundary=x" if each.route.upload else "application/json"}
        sent: list[tuple[int, bytes, dict[str, str]]] = [
            (413, b" " * (bytes_max + 1), kind),
            (415, packed, kind | {"Content-Encoding": "gzip"}),
            (415, b"{}", {"Content-Type": "text/plain"}),
            (415, b"a=1", {"Content-Type": "application/x-www-form-urlencoded"}),
        ]
        if each.is_signed:
            del sent[2:]  # The signature says more than the type.
        for status, raw, headers in sent if each.reads else ():
            answer = await walk.ask(each, token=walk.almighty(each), raw=raw, headers=headers)
            if answer.status != status:
                wrong.append((status, *said(each, answer)))
    assert wrong == []


async def test_a_field_that_nobody_asked_for_is_refused_by_its_name(walk: Walk) -> None:
    wrong = []
    for each in with_body(walk):
        body = {**(body_of(each) or {}), "isAdmin": True}
        answer = await walk.ask(each, token=walk.almighty(each), body=body)
        if answer.status != 400 or answer.body.get("details") != {"field": "isAdmin"}:
            wrong.append(said(each, answer))
    assert wrong == []


async def test_a_value_of_a_wrong_type_is_refused_by_its_path(walk: Walk) -> None:
    wrong = []
    for each in with_body(walk):
        assert each.route.body is not None
        for path, body in ill_typed(example_of(each.route.body)):
            answer = await walk.ask(each, token=walk.almighty(each), body=body)
            if answer.status != 400 or answer.body.get("details") != {"field": path}:
                wrong.append((path, *said(each, answer)))
    assert wrong == []


async def test_bodies_that_are_no_object_are_refused(walk: Walk) -> None:
    wrong = []
    for each in with_body(walk):
        for raw in (b"[]", b"null", b'"x"', b"{", b"\xff", b"[" * 10_000, b'{"a":NaN}', b"{}x"):
            answer = await walk.ask(each, token=walk.almighty(each), raw=raw)
            if answer.status != 400:
                wrong.append((raw[:8], *said(each, answer)))
    assert wrong == []


async def test_a_parameter_that_is_unknown_repeated_or_ill_typed_is_refused_by_its_name(
    walk: Walk,
) -> None:
    wrong = []
    for each in walk.operations:
        if each.route.query is None:
            continue
        names = [field.encode_name for field in msgspec.structs.fields(each.route.query)]
        queries = [("isAdmin", "isAdmin=true"), (names[0], f"{names[0]}=1&{names[0]}=1")]
        queries += [(name, f"{name}=%00") for name in names]
        for field, query in queries:
            path = f"{walk.path(each)}?{query}"
            answer = await walk.ask(each, path=path, token=walk.almighty(each))
            if answer.status != 400 or answer.body.get("details") != {"field": field}:
                wrong.append((query, *said(each, answer)))
    assert wrong == []


async def test_a_secret_in_the_url_is_refused_everywhere(walk: Walk) -> None:
    wrong = []
    for each in walk.operations:
        path = f"{walk.path(each)}?access_token={walk.token(walk.owner)}"
        answer = await walk.ask(each, path=path, body=body_of(each))
        if (answer.status, answer.body["error"]) != (400, "TOKEN_IN_URL"):
            wrong.append(said(each, answer))
    assert wrong == []


async def test_every_answer_carries_the_headers_that_protect_it(walk: Walk) -> None:
    expected = {name.lower(): value for name, value in SECURITY_HEADERS.items()}
    expected |= {"cache-control": "no-store", "server": "talktime"}
    wrong = []
    for each in walk.operations:
        tokens = [None, walk.almighty(each)] if each.route.method == "GET" else [None]
        for token in tokens:
            answer = await walk.ask(each, token=token, body=body_of(each))
            differing = expected.items() - answer.headers.items()
            if differing and not each.route.media:
                wrong.append((str(each), answer.status, differing))
            assert "x-request-id" in answer.headers
    assert wrong == []


async def test_every_row_that_is_told_of_is_still_named_by_a_path(walk: Walk) -> None:
    named = {each.prefix for each in walk.operations}
    assert (FREE | SIGNED | set(walk.rows)) - named == set()


def body_of(operation: Operation) -> dict[str, Any] | None:
    return None if operation.route.body is None else body_example(operation.route)


def id_fields(operation: Operation) -> Iterator[str]:
    assert operation.route.body is not None
    for field in msgspec.structs.fields(operation.route.body):
        if UUID in (field.type, *get_args(field.type)):
            yield field.encode_name


def with_body(walk: Walk) -> Iterator[Operation]:
    """Those that read a body as JSON before anything else."""
    for each in walk.operations:
        if each.route.body is not None and not each.is_signed:
            yield each


def ill_typed(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The value with one of its parts replaced by what it is not; and the path of that part."""
    match value:
        case dict():
            for name, part in value.items():
                for at, changed in ill_typed(part, f"{path}.{name}" if path else name):
                    yield at, {**value, name: changed}
        case list():
            for index, part in enumerate(value):
                for at, changed in ill_typed(part, f"{path}[{index}]"):
                    yield at, [*value[:index], changed, *value[index + 1 :]]
    others: list[Any] = [7] if isinstance(value, dict | list) else [{"x": 1}]
    if isinstance(value, str):
        others += [7, True, ["x"]]
    elif type(value) is int:
        others += [str(value), True, value + 0.5, 2**63]
    if path:
        yield from ((path, other) for other in others)
