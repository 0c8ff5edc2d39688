"""Pictures of accounts over HTTP: up, shown, replaced and removed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import aiohttp
import pytest
from PIL import Image

from rest.account.avatars import AvatarRoutes, AvatarSettings
from rest.account.pictures import ChildLimits, Pictures
from rest.account.routes import AccountRoutes
from signalling.limits import Rate
from storage import deletion
from storage.errors import Unavailable
from storage.ids import new_id
from storage.objects import Objects, in_folder
from storage.pool import Pool
from tests.rest.account.drawing import drawn, png_of_size
from tests.rest.conftest import Start
from tests.rest.harness import Answer, FakeClock, Freshness, Person, Rest

OFTEN = Rate(1_000, 1)
BOUNDARY = "a-boundary"
# For machines with much else to do.
PATIENT = ChildLimits(wall_s=60)


class Avatars:
    def __init__(self, rest: Rest, folder: Path) -> None:
        self.rest = rest
        self.folder = folder

    async def put(
        self,
        by: Person,
        data: bytes,
        *,
        field: str = "avatar",
        named: str = "me.png",
        called: str = "image/png",
        status: int | None = 200,
    ) -> Answer:
        head = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{named}"'
            f"\r\nContent-Type: {called}\r\n\r\n"
        )
        raw = head.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        return await self.rest.call(
            "PUT", "/user/avatar", by=by, raw=raw, headers=headers, status=status
        )

    async def get(
        self, path: str, headers: dict[str, str] | None = None
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        async with self.rest.client.get(path, headers=headers) as response:
            return response, await response.read()

    def files(self) -> list[str]:
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(path.relative_to(self.folder).as_posix() for path in found)

    async def do_jobs(self, objects: Objects) -> None:
        """What the runner of jobs does some time later."""
        rows = await self.rest.pool.fetch(
            "delete from pgqueuer where entrypoint = 'remove_object' "
            "returning convert_from(payload, 'utf8')::jsonb as payload"
        )
        for row in rows:
            await objects.remove(row["payload"])


StartAvatars = Callable[..., Awaitable[Avatars]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
def objects(folder: Path) -> Objects:
    return in_folder(folder)


@pytest.fixture
def start_avatars(
    start: Start, pool: Pool, objects: Objects, folder: Path, clock: FakeClock
) -> StartAvatars:
    async def started(**settings: object) -> Avatars:
        chosen = AvatarSettings(**{"account": OFTEN, **settings})  # type: ignore[arg-type]
        routes = AvatarRoutes(pool, objects, Pictures(PATIENT), clock=clock, settings=chosen)
        return Avatars(await start(routes), folder)

    return started


@pytest.fixture
async def avatars(start_avatars: StartAvatars) -> Avatars:
    return await start_avatars()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
async def test_a_picture_goes_up_and_is_shown_to_everybody(avatars: Avatars, form: str) -> None:
    ann = await avatars.rest.person("Ann")
    body = (await avatars.put(ann, drawn(form, (800, 400)))).body
    url = body["avatarUrl"]
    assert body == {"success": True, "avatar": url, "avatarUrl": url}
    assert await avatars.rest.pool.fetchval("select avatar_url from users") == url
    response, shown = await avatars.get(url)
    assert response.status == 200
    assert response.headers["Content-Type"] == "image/webp"
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert shown[:4] == b"RIFF"
    tag = response.headers["ETag"]
    response, shown = await avatars.get(url, {"If-None-Match": tag})
    assert (response.status, shown) == (304, b"")
    response, _ = await avatars.get(url, {"If-None-Match": '"another"'})
    assert response.status == 200


async def test_the_picture_before_is_removed_after_the_new_one_is_there(
    avatars: Avatars, objects: Objects
) -> None:
    ann = await avatars.rest.person("Ann")
    one = (await avatars.put(ann, drawn("PNG", (64, 64)))).body["avatarUrl"]
    other = (await avatars.put(ann, drawn("PNG", (64, 64)))).body["avatarUrl"]
    assert one != other, "a name is never used again"
    await avatars.do_jobs(objects)
    assert avatars.files() == [other.removeprefix("/media/")]
    assert (await avatars.get(one))[0].status == 404
    await avatars.rest.call("DELETE", "/user/avatar", by=ann, status=200)
    await avatars.rest.call("DELETE", "/user/avatar", by=ann, status=200)
    await avatars.do_jobs(objects)
    assert avatars.files() == []
    assert await avatars.rest.pool.fetchval("select avatar_url from users") is None


async def test_a_deleted_account_leaves_no_picture(avatars: Avatars, objects: Objects) -> None:
    ann = await avatars.rest.person("Ann")
    await avatars.put(ann, drawn("PNG", (64, 64)))
    async with avatars.rest.pool.acquire() as conn, conn.transaction():
        await deletion.delete_account(conn, ann.id, forfeit=False, now_ms=0)
    await avatars.do_jobs(objects)
    assert avatars.files() == []
    refused = await avatars.put(ann, drawn("PNG", (64, 64)), status=404)
    assert refused.error == "USER_NOT_FOUND"
    assert avatars.files() == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "NO_FILE"),
        (b"GIF89a" + bytes(100), "INVALID_FILE_TYPE"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "INVALID_FILE_TYPE"),
        (b"<html><script>alert(1)</script></html>", "INVALID_FILE_TYPE"),
        (drawn("GIF", (100, 100)), "INVALID_FILE_TYPE"),
        (drawn("BMP", (100, 100)), "INVALID_FILE_TYPE"),
        (drawn("PNG", (63, 100)), "INVALID_FILE"),
        (png_of_size(12_000, 12_000), "INVALID_FILE"),
        (png_of_size(100, 100)[:40], "INVALID_FILE"),
        (b"\xff\xd8\xff<script>alert(1)</script>", "INVALID_FILE"),
    ],
)
async def test_what_is_no_picture_is_refused_and_not_kept(
    avatars: Avatars, data: bytes, code: str
) -> None:
    ann = await avatars.rest.person("Ann")
    refused = await avatars.put(ann, data, called="image/png", named="me.png", status=400)
    assert refused.error == code
    assert refused.body["details"]["field"] == "avatar"
    assert avatars.files() == []


async def test_names_and_types_that_are_said_count_for_nothing(avatars: Avatars) -> None:
    ann = await avatars.rest.person("Ann")
    answer = await avatars.put(
        ann, drawn("JPEG", (64, 64)), named="../../etc/passwd.html", called="text/html"
    )
    assert answer.body["avatarUrl"].startswith(f"/media/avatars/{ann.id}/")
    assert answer.body["avatarUrl"].endswith(".webp")


async def test_what_is_behind_and_in_a_picture_does_not_go_out(avatars: Avatars) -> None:
    ann = await avatars.rest.person("Ann")
    exif = Image.Exif()
    exif[0x010F] = "<script>camera"
    polyglot = drawn("JPEG", (100, 100), exif=exif) + b"<script>alert(1)</script>"
    url = (await avatars.put(ann, polyglot)).body["avatarUrl"]
    _, shown = await avatars.get(url)
    assert b"<script>" not in shown


async def test_a_file_over_the_limit_is_413(start_avatars: StartAvatars) -> None:
    avatars = await start_avatars(bytes_max=10_000)
    ann = await avatars.rest.person("Ann")
    for size in (10_001, 40_000):
        refused = await avatars.put(ann, bytes(size), status=413)
        assert (refused.error, refused.body["details"]) == ("FILE_TOO_LARGE", {"bytesMax": 10_000})


async def test_only_so_many_pictures_a_minute_and_so_many_at_once(
    start_avatars: StartAvatars,
) -> None:
    avatars = await start_avatars(account=Rate(1, 60_000), uploads_max=0)
    ann = await avatars.rest.person("Ann")
    assert (await avatars.put(ann, b"x", status=503)).error == "UNAVAILABLE"
    assert (await avatars.put(ann, b"x", status=429)).error == "RATE_LIMITED"


async def test_a_store_that_fails_leaves_the_old_picture(
    avatars: Avatars, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await avatars.rest.person("Ann")
    url = (await avatars.put(ann, drawn("PNG", (64, 64)))).body["avatarUrl"]

    async def fail(*_: object) -> None:
        raise Unavailable("the disk is full")

    monkeypatch.setattr(objects, "put", fail)
    refused = await avatars.put(ann, drawn("PNG", (64, 64)), status=503)
    assert refused.error == "UPLOAD_FAILED"
    assert await avatars.rest.pool.fetchval("select avatar_url from users") == url
    assert (await avatars.get(url))[0].status == 200


async def test_many_new_pictures_at_once_leave_one(avatars: Avatars, objects: Objects) -> None:
    ann = await avatars.rest.person("Ann")
    await asyncio.gather(*(avatars.put(ann, drawn("PNG", (64, 64))) for _ in range(4)))
    await avatars.do_jobs(objects)
    kept = await avatars.rest.pool.fetchval("select avatar_url from users")
    assert avatars.files() == [kept.removeprefix("/media/")]


@pytest.mark.parametrize(
    "path",
    [
        f"/media/avatars/{new_id()}/{'0' * 32}.webp",
        f"/media/avatars/{new_id()}/{'0' * 31}.webp",
        f"/media/avatars/{new_id()}/..%2F..%2Fsecrets.json",
        "/media/avatars/../../secrets.json",
        "/media/avatars/%2e%2e/%2e%2e/secrets.json",
        "/media/avatars/",
        "/media/",
        f"/media/avatars/{UUID(int=0)}/",
    ],
)
async def test_no_other_path_shows_anything(avatars: Avatars, path: str) -> None:
    (avatars.folder / "secrets.json").write_text("{}")
    response, body = await avatars.get(path)
    assert response.status == 404
    assert b"NOT_FOUND" in body


async def test_a_link_in_the_folder_leads_nowhere(avatars: Avatars, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    user_id = new_id()
    place = avatars.folder / "avatars" / str(user_id)
    place.mkdir(parents=True)
    (place / "secret.webp").symlink_to(tmp_path / "secret")
    response, body = await avatars.get(f"/media/avatars/{user_id}/secret.webp")
    assert response.status == 404
    assert body != b"secret"


async def test_my_profile_shows_my_picture(
    start: Start, pool: Pool, objects: Objects, clock: FakeClock, folder: Path
) -> None:
    async def no_call(_: UUID) -> None: ...

    account = AccountRoutes(
        pool,
        currency="PTS",
        clock=clock,
        leave_call=no_call,
        end_session=lambda _: None,
        check_fresh=Freshness().check,
    )
    settings = AvatarSettings(url_base="https://pictures.example")
    routes = AvatarRoutes(pool, objects, Pictures(PATIENT), clock=clock, settings=settings)
    avatars = Avatars(await start(account, routes), folder)
    ann = await avatars.rest.person("Ann")
    url = (await avatars.put(ann, drawn("PNG", (64, 64)))).body["avatarUrl"]
    assert url.startswith(f"https://pictures.example/avatars/{ann.id}/")
    mine = (await avatars.rest.call("GET", "/user/me", by=ann, status=200)).body["user"]
    assert (mine["avatar"], mine["avatarUrl"]) == (url, url)
    seen = (await avatars.rest.call("GET", f"/users/{ann.id}", status=200)).body["user"]
    assert seen["avatarUrl"] == url


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_without_a_token_there_is_nothing(avatars: Avatars, method: str) -> None:
    await avatars.rest.call(method, "/user/avatar", status=401)
