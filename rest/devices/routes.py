"""Where the caller can be woken for a call: registering, listing and forgetting devices."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

import msgspec
from aiohttp import web

from rest.devices import bodies
from rest.devices.rules import wish_of
from rest.http.body import read_body
from rest.http.errors import Fault
from rest.http.identity import caller
from rest.http.reply import Done, reply
from rest.http.route import Route, path_id
from storage import devices
from storage.pool import Pool, within

DB_S = 4.0

DEVICE_NOT_FOUND = Fault(404, "DEVICE_NOT_FOUND", "You have not registered this device.")
PUSH_NOT_OFFERED = Fault(409, "PUSH_NOT_OFFERED", "This server does not push that way.")


class PushTerms(msgspec.Struct, frozen=True):
    """By what this deployment pushes. `hosts` are the web push services that it trusts; `plain`
    lets this machine be one, in development."""

    providers: frozenset[str] = frozenset()
    vapid_public_key: str | None = None
    hosts: Collection[str] = ()
    plain: bool = False


class DeviceRoutes:
    def __init__(self, pool: Pool, terms: PushTerms) -> None:
        self._pool = pool
        self._terms = terms

    def table(self) -> list[Route]:
        return [
            Route(
                "POST",
                "/devices/push",
                self.register,
                summary="Let this device be woken for calls; the same once more changes nothing",
                returns=bodies.PushDeviceAnswer,
                body=bodies.Registration,
                tag="devices",
                errors=(PUSH_NOT_OFFERED,),
                example={"device": bodies.DEVICE_EXAMPLE},
                body_example=bodies.REGISTRATION_EXAMPLE,
            ),
            Route(
                "GET",
                "/devices/push",
                self.mine,
                summary="Your devices that can be woken, 10 at most",
                returns=bodies.PushDevices,
                tag="devices",
                example={"devices": [bodies.DEVICE_EXAMPLE]},
            ),
            Route(
                "GET",
                "/devices/push/options",
                self.options,
                summary="By what a device can be woken here, and the key for web push",
                returns=bodies.PushOptions,
                tag="devices",
                auth=False,
                example=bodies.OPTIONS_EXAMPLE,
            ),
            Route(
                "DELETE",
                "/devices/push/{id}",
                self.forget,
                summary="Let a device sleep",
                returns=Done,
                tag="devices",
                errors=(DEVICE_NOT_FOUND,),
                example={},
            ),
        ]

    async def register(self, request: web.Request) -> web.Response:
        me = caller(request)
        body = await read_body(request, bodies.Registration)
        wish = wish_of(body, hosts=self._terms.hosts, plain=self._terms.plain)
        if wish.provider not in self._terms.providers:
            raise PUSH_NOT_OFFERED.problem(field="provider")
        async with self._pool.acquire(timeout=DB_S) as conn:
            listed = await within(DB_S, devices.register(conn, me.user_id, me.session_id, wish))
        return reply(bodies.PushDeviceAnswer(device=view(listed)))

    async def mine(self, request: web.Request) -> web.Response:
        async with self._pool.acquire(timeout=DB_S) as conn:
            found = await within(DB_S, devices.list_of(conn, caller(request).user_id))
        return reply(bodies.PushDevices(devices=[view(each) for each in found]))

    async def options(self, _: web.Request) -> web.Response:
        providers = [cast(bodies.Provider, each) for each in sorted(self._terms.providers)]
        return reply(
            bodies.PushOptions(providers=providers, vapid_public_key=self._terms.vapid_public_key)
        )

    async def forget(self, request: web.Request) -> web.Response:
        me = caller(request).user_id
        async with self._pool.acquire(timeout=DB_S) as conn:
            if not await within(DB_S, devices.forget(conn, me, path_id(request))):
                raise DEVICE_NOT_FOUND.problem()
        return reply(Done())


def view(listed: devices.Listed) -> bodies.PushDevice:
    return bodies.PushDevice(
        id=listed.id,
        device_id=listed.device_id,
        platform=cast(bodies.Platform, listed.platform),
        provider=cast(bodies.Provider, listed.provider),
        token_hint=listed.hint,
        created_at=listed.created_at,
        updated_at=listed.updated_at,
    )
