"""What the caller wants to be told of, and what the deployment tells every app."""

from __future__ import annotations

import msgspec
from aiohttp import web

from rest.http.body import read_body
from rest.http.errors import Fault
from rest.http.identity import NO_USER, caller
from rest.http.reply import reply
from rest.http.route import Route
from rest.http.toggles import Toggles
from rest.settings.bodies import (
    AppVersions,
    Links,
    SettingsAnswer,
    SettingsView,
    ToggleChange,
    TogglesAnswer,
)
from storage import settings
from storage.pool import Pool, within

DB_S = 4.0

NO_FIELDS = Fault(400, "NO_FIELDS", "Send at least one field.")

TOGGLES_EXAMPLE = {
    "incomingCall": True,
    "callSummary": True,
    "walletAlert": True,
    "marketing": False,
}


class SettingsRoutes:
    def __init__(self, pool: Pool, *, links: Links, app: AppVersions) -> None:
        """`links` and `app` are the deployment's, the same for everybody."""
        self._pool = pool
        self._links = links
        self._app = app

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/settings",
                self.read,
                summary="Your settings, and what an app should know of this deployment",
                returns=SettingsAnswer,
                tag="settings",
                example={
                    "settings": {
                        "notifications": TOGGLES_EXAMPLE,
                        "links": {
                            "terms": "https://talk.example/terms",
                            "privacy": "https://talk.example/privacy",
                        },
                        "app": {"version": "1.4.0", "minSupportedVersion": "1.2.0"},
                    }
                },
            ),
            Route(
                "PUT",
                "/settings/notifications",
                self.change,
                summary="Choose what you are told of; switches that are not sent stay",
                returns=TogglesAnswer,
                body=ToggleChange,
                tag="settings",
                errors=(NO_FIELDS, NO_USER),
                example={"settings": TOGGLES_EXAMPLE},
            ),
        ]

    async def read(self, request: web.Request) -> web.Response:
        async with self._pool.acquire(timeout=DB_S) as conn:
            found = await within(DB_S, settings.read_toggles(conn, caller(request).user_id))
        view = SettingsView(notifications=_view(found), links=self._links, app=self._app)
        return reply(SettingsAnswer(settings=view))

    async def change(self, request: web.Request) -> web.Response:
        body = await read_body(request, ToggleChange)
        given = {
            name: value
            for name, value in msgspec.structs.asdict(body).items()
            if value is not msgspec.UNSET
        }
        if not given:
            raise NO_FIELDS.problem()
        async with self._pool.acquire(timeout=DB_S) as conn:
            found = await within(
                DB_S, settings.change_toggles(conn, caller(request).user_id, **given)
            )
        return reply(TogglesAnswer(settings=_view(found)))


def _view(found: settings.Toggles) -> Toggles:
    return msgspec.convert(found, Toggles, from_attributes=True)
