"""A server that speaks as much of S3 as we use: PUT and GET by path, DeleteObjects, XML errors."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{}</Code><Message>-</Message></Error>'

XMLNS = "http://s3.amazonaws.com/doc/2006-03-01/"


@dataclass
class Bucket:
    """`kept` is what it holds, by path; `fails` answers so many requests with 503 first."""

    access_key: str
    url: str = ""
    kept: dict[str, tuple[bytes, dict[str, str]]] = field(default_factory=dict)
    fails: int = 0
    silent: bool = False
    asked: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.silent:
            await asyncio.Event().wait()
        if self.fails:
            self.fails -= 1
            return _error(503, "SlowDown")
        signed = request.headers.get("Authorization", "")
        if not signed.startswith(f"AWS4-HMAC-SHA256 Credential={self.access_key}/"):
            return _error(403, "InvalidAccessKeyId")
        body = await request.read()
        if request.headers["x-amz-content-sha256"] not in (
            "UNSIGNED-PAYLOAD",
            hashlib.sha256(body).hexdigest(),
        ):
            return _error(400, "XAmzContentSHA256Mismatch")
        match request.method:
            case "PUT":
                self.kept[request.path] = (body, dict(request.headers))
                return web.Response(headers={"ETag": '"1"'})
            case "POST" if "delete" in request.query:
                return self._delete(request.path.rstrip("/"), body)
        if request.path not in self.kept:
            return _error(404, "NoSuchKey")
        dated = {"ETag": '"1"', "Last-Modified": "Wed, 21 Oct 2026 07:28:00 GMT"}
        return web.Response(body=self.kept[request.path][0], headers=dated)

    def _delete(self, root: str, body: bytes) -> web.Response:
        keys = re.findall(r"<Key>([^<]+)</Key>", body.decode())
        for key in keys:
            self.kept.pop(f"{root}/{key}", None)
        gone = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        text = f'<DeleteResult xmlns="{XMLNS}">{gone}</DeleteResult>'
        return web.Response(text=text, content_type="application/xml")


def _error(status: int, code: str) -> web.Response:
    return web.Response(status=status, text=ERROR.format(code), content_type="application/xml")


@asynccontextmanager
async def bucket_server(access_key: str) -> AsyncIterator[Bucket]:
    bucket = Bucket(access_key)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", bucket.answer)
    server = TestServer(app)
    await server.start_server()
    bucket.url = str(server.make_url("")).rstrip("/")
    yield bucket
    await server.close()
