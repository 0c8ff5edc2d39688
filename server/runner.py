"""The runner of the application, which answers even what is no HTTP as all else is answered."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from aiohttp import hdrs, web

from rest.http.errors import Problem, answer, internal
from server.middlewares import SECURITY_HEADERS, sign_off
from storage.ids import new_id

_log = structlog.stdlib.get_logger("talktime.http")

LOOK_S = 0.01


class Runner(web.AppRunner):
    """As `web.AppRunner`, with the settings that this server needs.

    The overrides here are the only way to aiohttp's answer to what it cannot read; it would name
    its version and give back what was sent.
    """

    def __init__(self, app: web.Application, *, shutdown_s: float, keep_alive_s: float) -> None:
        self._settings: dict[str, Any] = {
            # The middlewares write the log; they know more.
            "access_log": None,
            # A compressed body is refused by us, before anything inflates it.
            "auto_decompress": False,
            "keepalive_timeout": keep_alive_s,
        }
        super().__init__(app, shutdown_timeout=shutdown_s, **self._settings)

    async def finish(self, within_s: float) -> None:
        """Take no connections any more, and let what is under way be answered, if it is so soon.

        `cleanup` alone would read nothing more of a body that is on its way.
        """
        for site in list(self.sites):
            await site.stop()
        try:
            async with asyncio.timeout(within_s):
                while self._is_busy():  # noqa: ASYNC110 - once in a process's life
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            pass

    async def leave(self, site: web.BaseSite) -> None:
        """Take no new connections there, and end those that nobody uses now: who comes again is
        for others who listen there too."""
        await site.stop()
        for each in self._connections():
            if not each.busy:
                each.force_close()

    def _is_busy(self) -> bool:
        return any(each.busy for each in self._connections())

    def _connections(self) -> list[_Protocol]:
        found = self.server.connections if self.server is not None else []
        return [each for each in found if isinstance(each, _Protocol)]

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made.request_handler, request_factory=made.request_factory, **self._settings)


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class _Protocol(web.RequestHandler):
    """One connection."""

    __slots__ = ()

    @property
    def busy(self) -> bool:
        """Whether a request is in work."""
        return self._current_request is not None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What the parser gave up on, or what went wrong around the application."""
        if request.writer.output_size > 0:
            raise ConnectionError("a part of another answer is on its way")
        request_id = str(new_id())
        if isinstance(exc, UnicodeEncodeError) and hdrs.EXPECT in request.headers:
            # aiohttp repeats what it was asked to expect, and cannot if that is no text.
            status = 400
        if status < 500:
            _log.info("unreadable", status=status, request_id=request_id)
            problem = Problem(status, "BAD_REQUEST", "This is no request that can be read.")
        else:
            _log.error("unexpected", incident=request_id, exc_info=exc)
            problem = internal(request_id)
        response = answer(problem, request_id)
        sign_off(response, SECURITY_HEADERS, request_id)
        response.force_close()
        return response
