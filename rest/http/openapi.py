"""The OpenAPI 3.1 document, generated from the same records that serve the requests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from rest.http.errors import STATUS, ErrorBody, Fault
from rest.http.route import UUID_PATTERN, Route
from rest.http.upload import FORM
from signalling.examples import example_of

REF = "#/components/schemas/{name}"
# What any route can answer beside what it lists.
ALWAYS = ("TOKEN_IN_URL", "RATE_LIMITED", "INTERNAL", "UNAVAILABLE")
WITH_AUTH = ("UNAUTHORIZED", "TOKEN_EXPIRED")
# A parameter that is not of the path's form: the router knows no such path.
WITH_PARAMETERS = ("NOT_FOUND",)
WITH_BODY = ("INVALID_PAYLOAD", "REQUEST_TIMEOUT", "TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE")
WITH_QUERY = ("INVALID_QUERY",)
BYTES = {"type": "string", "format": "binary"}

INVALID_KEY = "INVALID_IDEMPOTENCY_KEY"
KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A text of your own, new for each wish. The same request with the same key gets "
    "the first answer for 24 hours and has no second effect.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {
        "description": "Names the request in the server's log; one that you send is kept.",
        "schema": {"type": "string"},
    },
    "Idempotent-Replayed": {
        "description": "`true`: this is the answer to an earlier request with the same key.",
        "schema": {"const": "true"},
    },
    "Retry-After": {
        "description": "Seconds to wait. Nothing was applied.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "WWW-Authenticate": {
        "description": "The challenge of RFC 6750.",
        "schema": {"type": "string"},
    },
}
BY_STATUS = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}

# A pattern may have counts in braces of its own: `{id:[0-9]{1,18}}`.
_parameter = re.compile(r"\{([a-z_]+)(?::((?:[^{}]|\{[0-9,]+\})+))?\}")


def build_openapi(
    routes: Iterable[Route],
    *,
    version: str,
    title: str,
    tags: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The document as plain JSON values; `tags` says what the routes of each tag are about.

    Raises:
        ValueError: a route lists an error code that has no status.
    """
    rows = list(routes)
    refs, schemas = _components(rows)
    paths: dict[str, dict[str, Any]] = {}
    for route in rows:
        for path in route.paths:
            operation = _operation(route, path, refs)
            paths.setdefault(template_of(path), {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Amounts are integers in the currency's smallest unit. Times are "
            "RFC 3339 in UTC; a call's snapshot counts Unix milliseconds, as the socket does.",
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": tag, "description": (tags or {}).get(tag, "")}
            for tag in sorted({route.tag for route in rows if route.tag})
        ],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
            "schemas": schemas,
            "headers": HEADERS,
        },
    }


def _components(
    routes: Sequence[Route],
) -> tuple[dict[type[msgspec.Struct], dict[str, Any]], dict[str, Any]]:
    """For each struct its reference (for a query its properties), and all named schemas."""
    shapes: list[type[msgspec.Struct]] = [ErrorBody]
    queries: list[type[msgspec.Struct]] = []
    for route in routes:
        shapes += [shape for shape in (route.returns, route.body) if shape is not None]
        queries += [route.query] if route.query is not None else []
    shapes = list(dict.fromkeys(shapes))
    found, schemas = msgspec.json.schema_components(shapes, ref_template=REF)
    refs = dict(zip(shapes, found, strict=True))
    for query in dict.fromkeys(queries):
        _, own = msgspec.json.schema_components([query], ref_template=REF)
        refs[query] = own[query.__name__]
    _type_words([schemas, *(refs[query] for query in queries)])
    body = schemas[ErrorBody.__name__]
    body["properties"]["success"] = {"const": False}
    body["required"] = ["success", "error", "message", "requestId"]
    return refs, schemas


def _type_words(schema: object) -> None:
    """Say of lists of words that they are strings, which pages and client generators look for."""
    if isinstance(schema, list):
        for each in schema:
            _type_words(each)
    elif isinstance(schema, dict):
        words = schema.get("enum")
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            schema["type"] = "string"
        for each in schema.values():
            _type_words(each)


def template_of(path: str) -> str:
    """The path as the document spells it: parameters without their patterns."""
    return _parameter.sub(lambda found: f"{{{found[1]}}}", path)


def _operation(
    route: Route, path: str, refs: dict[type[msgspec.Struct], dict[str, Any]]
) -> dict[str, Any]:
    words = re.findall(r"[A-Za-z0-9]+", template_of(path))
    operation: dict[str, Any] = {
        "operationId": "_".join([route.method.lower(), *words]),
        "summary": route.summary,
        "responses": _responses(route, refs),
        "security": [{"bearer": []}] if route.auth else [],
    }
    if route.tag:
        operation["tags"] = [route.tag]
    if path != route.path:
        operation["description"] = f"The same as {route.method} {template_of(route.path)}."
    parameters = [*_path_parameters(path), *_query_parameters(route, refs)]
    if _takes_keys(route):
        parameters.append(KEY_PARAMETER)
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": not route.body_optional,
            "content": {
                "application/json": {"schema": refs[route.body], "example": body_example(route)}
            },
        }
    if route.upload:
        form = {
            "type": "object",
            "properties": {route.upload: BYTES},
            "required": [route.upload],
        }
        operation["requestBody"] = {"required": True, "content": {FORM: {"schema": form}}}
    return operation


def _takes_keys(route: Route) -> bool:
    return any(isinstance(each, Fault) and each.code == INVALID_KEY for each in route.errors)


def answer_example(route: Route) -> dict[str, Any]:
    """A success answer of the route, without its wrapper."""
    if route.example is None:
        return example_of(route.returns)
    found: dict[str, Any] = msgspec.to_builtins(route.example)
    return found


def body_example(route: Route) -> dict[str, Any]:
    """A body that the route takes: what must be there, or all that may be, if nothing must."""
    if route.body_example is not None:
        found: dict[str, Any] = msgspec.to_builtins(route.body_example)
        return found
    assert route.body is not None
    return example_of(route.body, full=False) or example_of(route.body)


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": f"^{pattern}$"}
            if pattern
            else {"type": "string", "format": "uuid", "pattern": f"^{UUID_PATTERN}$"},
        }
        for name, pattern in _parameter.findall(path)
    ]


def _query_parameters(
    route: Route, refs: dict[type[msgspec.Struct], dict[str, Any]]
) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    schema = refs[route.query]
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _without_null(each)}
        for name, each in schema["properties"].items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that may be left out is `int | None` for us; on the wire there is no null."""
    options = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
    if not options:
        return schema
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return {**rest, **options[0]} if len(options) == 1 else {**rest, "anyOf": options}


def _responses(route: Route, refs: dict[type[msgspec.Struct], dict[str, Any]]) -> dict[str, Any]:
    success: dict[str, Any] = {
        "schema": {
            "allOf": [
                {
                    "type": "object",
                    "properties": {"success": {"const": True}},
                    "required": ["success"],
                },
                refs[route.returns],
            ]
        }
    }
    success["example"] = {"success": True, **answer_example(route)}
    content = {route.media: {"schema": BYTES}} if route.media else {"application/json": success}
    shown = ["X-Request-Id", "Idempotent-Replayed"] if _takes_keys(route) else ["X-Request-Id"]
    responses: dict[str, Any] = {
        str(route.status): {
            "description": "Done.",
            "headers": _headers(*shown),
            "content": content,
        }
    }
    if route.media:
        responses["304"] = {"description": "The client has it already."}
    by_status: dict[int, dict[str, str]] = {}
    for status, code, message in documented_errors(route):
        by_status.setdefault(status, {}).setdefault(code, message)
    for status, codes in sorted(by_status.items()):
        responses[str(status)] = {
            "description": " · ".join(codes),
            "headers": _headers("X-Request-Id", *BY_STATUS.get(status, ())),
            "content": {
                "application/json": {
                    "schema": {"$ref": REF.format(name=ErrorBody.__name__)},
                    "examples": {
                        code: {"value": _error_example(code, text)} for code, text in codes.items()
                    },
                }
            },
        }
    return responses


def _headers(*names: str) -> dict[str, dict[str, str]]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def documented_errors(route: Route) -> list[tuple[int, str, str]]:
    """Status, code and message of every failure the route may answer with."""
    listed: list[str | Fault] = [*route.errors, *ALWAYS]
    listed += WITH_AUTH if route.auth else ()
    listed += WITH_PARAMETERS if _parameter.search(route.path) else ()
    listed += WITH_BODY if route.body is not None else ()
    listed += WITH_QUERY if route.query is not None else ()
    listed += ("FORBIDDEN",) if route.roles else ()
    if route.body is not None:
        listed += [Fault(400, code, "The field is wrong.") for code in route.body.CODES.values()]
    if route.query is not None:
        listed += [Fault(400, code, "The field is wrong.") for code in route.query.CODES.values()]
    found: list[tuple[int, str, str]] = []
    for each in listed:
        if isinstance(each, Fault):
            found.append((each.status, each.code, each.message))
        elif each in STATUS:
            found.append((STATUS[each], each, each.replace("_", " ").capitalize() + "."))
        else:
            raise ValueError(f"{route.method} {route.path}: {each} has no status")
    return found


def _error_example(code: str, message: str) -> dict[str, Any]:
    return {
        "success": False,
        "error": code,
        "message": message,
        "requestId": "0192f1a0-0000-7000-8000-000000000000",
    }
