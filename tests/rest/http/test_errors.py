from __future__ import annotations

import asyncpg
import msgspec
import pytest
from aiohttp import web

from rest.http.errors import STATUS, Fault, Problem, answer, internal, problem_of
from signalling.codes import Code, Refused
from storage import errors
from storage.users import EmailTaken


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Problem(418, "TEAPOT", "no"), 418, "TEAPOT"),
        (Fault(409, "TAKEN", "no").problem(), 409, "TAKEN"),
        (errors.NotFound(), 404, "NOT_FOUND"),
        (errors.NotFound(code="call_not_found"), 404, "CALL_NOT_FOUND"),
        (errors.Conflict(), 409, "CONFLICT"),
        (EmailTaken(), 409, "EMAIL_ALREADY_USED"),
        (errors.Refusal(code="odd"), 400, "ODD"),
        (errors.IdempotencyMismatch(), 409, "IDEMPOTENCY_CONFLICT"),
        (errors.Unavailable(), 503, "UNAVAILABLE"),
        (errors.Fenced(), 503, "FENCED"),
        (Refused(Code.NOT_YOUR_CALL, "no"), 404, "NOT_YOUR_CALL"),
        (Refused(Code.WRONG_STATE, "no"), 409, "WRONG_STATE"),
        (Refused(Code.CALL_OVER, "no"), 409, "CALL_OVER"),
        (Refused(Code.SELF_BUSY, "no"), 409, "SELF_BUSY"),
        (Refused(Code.ANSWERED_ELSEWHERE, "no"), 409, "ANSWERED_ELSEWHERE"),
        (Refused(Code.BLOCKED, "no"), 403, "BLOCKED"),
        (Refused(Code.TOKEN_EXPIRED, "no"), 401, "TOKEN_EXPIRED"),
        (web.HTTPNotFound(), 404, "NOT_FOUND"),
        (web.HTTPMethodNotAllowed("GET", ["PUT", "POST"]), 405, "METHOD_NOT_ALLOWED"),
        (web.HTTPRequestEntityTooLarge(1, 2), 413, "TOO_LARGE"),
        (web.HTTPBadRequest(), 400, "BAD_REQUEST"),
        (ConnectionResetError(), 503, "UNAVAILABLE"),
        (TimeoutError(), 503, "UNAVAILABLE"),
        (MemoryError(), 503, "UNAVAILABLE"),
        (asyncpg.AdminShutdownError(), 503, "UNAVAILABLE"),
        (asyncpg.DeadlockDetectedError(), 503, "UNAVAILABLE"),
        (
            asyncpg.InterfaceError(
                "cannot call Transaction.__aexit__(): the underlying connection is closed"
            ),
            503,
            "UNAVAILABLE",
        ),
    ],
)
def test_every_refusal_has_its_status_and_code(error: Exception, status: int, code: str) -> None:
    problem = problem_of(error)
    assert problem is not None
    assert (problem.status, problem.code) == (status, code)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("secret"),
        AssertionError(),
        web.HTTPFound("/"),
        asyncpg.InterfaceError("another operation is in progress"),
    ],
)
def test_our_mistakes_and_redirects_are_no_refusals(error: Exception) -> None:
    assert problem_of(error) is None


def test_every_code_of_the_socket_has_a_status() -> None:
    assert [code for code in Code if code.value.upper() not in STATUS] == []


def test_missing_money_is_told_in_numbers() -> None:
    problem = problem_of(errors.InsufficientFunds(required_minor=120, available_minor=100))
    assert problem is not None
    assert (problem.status, problem.code) == (402, "INSUFFICIENT_FUNDS")
    assert problem.details == {"required": 120, "available": 100}


def test_the_field_and_the_wait_of_a_refusal_are_passed_on() -> None:
    wrong = problem_of(Refused(Code.BAD_FRAME, "no", field="toUserId", details={"x": 1}))
    assert wrong is not None
    assert wrong.details == {"field": "toUserId", "x": 1}
    limited = problem_of(Refused(Code.RATE_LIMITED, "no", retry_after_ms=1_200))
    assert limited is not None
    assert limited.headers["Retry-After"] == "2"


def test_try_again_always_says_when() -> None:
    for code in ("rate_limited", "cooldown", "unavailable"):
        problem = problem_of(errors.Refusal(code=code))
        assert problem is not None
        assert int(problem.headers["Retry-After"]) >= 1


def test_the_answer_is_the_failure_wrapper() -> None:
    response = answer(Problem(401, "UNAUTHORIZED", "Log in.", {"why": "x"}), "r-1")
    assert response.status == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert response.headers["Cache-Control"] == "no-store"
    assert isinstance(response.body, bytes)
    assert msgspec.json.decode(response.body) == {
        "success": False,
        "error": "UNAUTHORIZED",
        "message": "Log in.",
        "details": {"why": "x"},
        "requestId": "r-1",
    }


def test_without_details_their_key_is_left_out() -> None:
    response = answer(Problem(400, "BAD_REQUEST", "no"), "r-1")
    assert isinstance(response.body, bytes)
    assert "details" not in msgspec.json.decode(response.body)


def test_a_mistake_of_ours_names_its_incident_only() -> None:
    problem = internal("r-9")
    assert (problem.status, problem.details) == (500, {"incidentId": "r-9"})
