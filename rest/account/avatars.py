"""The caller's picture, and everybody's pictures as files."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import msgspec
from aiohttp import hdrs, web

from rest.account import bodies
from rest.account.pictures import BadPicture, Pictures, kind_of
from rest.http.errors import Fault, Problem
from rest.http.identity import NO_USER, caller
from rest.http.limiter import Limiter
from rest.http.reply import Done, reply
from rest.http.route import Route, path_id
from rest.http.upload import ERRORS, read_file
from signalling.limits import Rate
from storage import avatars
from storage.errors import NotFound, Unavailable
from storage.objects import CACHE_CONTROL, Objects
from storage.pool import Pool, within

DB_S = 4.0
FIELD = "avatar"

INVALID_TYPE = Fault(400, "INVALID_FILE_TYPE", "A picture is a JPEG, a PNG or a WebP.")
INVALID_FILE = Fault(400, "INVALID_FILE", "This picture cannot be read.")
UPLOAD_FAILED = Fault(503, "UPLOAD_FAILED", "The picture could not be kept; try again later.")


class AvatarSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`uploads_max` files are in memory at once. Addresses of pictures begin with `url_base`."""

    url_base: str = "/media"
    bytes_max: int = 5_242_880
    upload_s: float = 20.0
    uploads_max: int = 16
    account: Rate = Rate(5, 30_000)


class AvatarRoutes:
    def __init__(
        self,
        pool: Pool,
        objects: Objects,
        pictures: Pictures,
        *,
        clock: Callable[[], int],
        settings: AvatarSettings | None = None,
    ) -> None:
        self._pool = pool
        self._objects = objects
        self._pictures = pictures
        self._settings = settings or AvatarSettings()
        self._by_account = Limiter(self._settings.account, clock)
        self._uploads = 0

    def table(self) -> list[Route]:
        return [
            Route(
                "PUT",
                "/user/avatar",
                self.upload,
                summary="Set the caller's picture: JPEG, PNG or WebP, at least 64 × 64 pixels",
                returns=bodies.AvatarAnswer,
                upload=FIELD,
                tag="user",
                errors=(*ERRORS, INVALID_TYPE, INVALID_FILE, UPLOAD_FAILED, NO_USER),
                example=bodies.AVATAR_EXAMPLE,
            ),
            Route(
                "DELETE",
                "/user/avatar",
                self.remove,
                summary="Remove the caller's picture",
                returns=Done,
                tag="user",
                errors=(NO_USER,),
                example=Done(),
            ),
            Route(
                "GET",
                "/media/avatars/{user}/{name:[0-9a-f]+[.]webp}",
                self.show,
                summary="A picture; its address never stands for another one",
                returns=Done,
                media=avatars.CONTENT_TYPE,
                tag="user",
                auth=False,
                errors=("NOT_FOUND",),
            ),
        ]

    async def upload(self, request: web.Request) -> web.Response:
        user_id = caller(request).user_id
        self._by_account.check(str(user_id))
        if self._uploads >= self._settings.uploads_max:
            raise Unavailable("Too many files are being sent at this moment.")
        self._uploads += 1
        try:
            picture = await self._receive(request)
        finally:
            self._uploads -= 1
        url = await self._keep(user_id, picture)
        return reply(bodies.AvatarAnswer(avatar=url, avatar_url=url))

    async def _receive(self, request: web.Request) -> bytes:
        sent = await read_file(
            request,
            FIELD,
            bytes_max=self._settings.bytes_max,
            deadline_s=self._settings.upload_s,
        )
        if kind_of(sent) is None:
            raise INVALID_TYPE.problem(field=FIELD)
        try:
            return await self._pictures.reencode(sent)
        except BadPicture as fault:
            raise Problem(400, INVALID_FILE.code, str(fault), {"field": FIELD}) from None

    async def _keep(self, user_id: UUID, picture: bytes) -> str:
        key = avatars.new_key(user_id)
        try:
            await self._objects.put(key, picture, avatars.CONTENT_TYPE)
        except Unavailable:
            raise UPLOAD_FAILED.problem() from None
        url = f"{self._settings.url_base}/{key}"
        try:
            await within(DB_S, self._set(user_id, url))
        except NotFound:
            # Deleted meanwhile. After other faults the change may have been committed all the same,
            # and a file too many is better than an account that names one that is gone.
            await self._objects.delete(key)
            raise
        return url

    async def remove(self, request: web.Request) -> web.Response:
        await within(DB_S, self._set(caller(request).user_id, None))
        return reply(Done())

    async def _set(self, user_id: UUID, url: str | None) -> None:
        async with self._pool.acquire(timeout=DB_S) as conn:
            await avatars.set_avatar(conn, user_id, url)

    async def show(self, request: web.Request) -> web.Response:
        key = f"avatars/{path_id(request, 'user')}/{request.match_info['name']}"
        picture = await self._objects.get(key) if avatars.is_key(key) else None
        if picture is None:
            raise Problem(404, "NOT_FOUND", "There is no such picture.")
        name = request.match_info["name"].partition(".")[0]
        headers = {
            hdrs.CACHE_CONTROL: CACHE_CONTROL,
            hdrs.ETAG: f'"{name}"',
            # Pages of any origin may show it: it is public, and nothing but a picture.
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
        if any(tag.value in (name, "*") for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=picture, content_type=avatars.CONTENT_TYPE, headers=headers)
