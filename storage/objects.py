"""Files that users gave us, by key: in a local folder, or at a service that speaks S3."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from storage import jobs
from storage.errors import Unavailable
from storage.pool import Connection

if TYPE_CHECKING:
    from obstore import Attributes

# Of one operation, its repetitions included.
DEADLINE_S = 5.0
RETRIES_MAX = 2
# The job that removes an object; its handler is `Objects.remove`.
REMOVE_JOB = "remove_object"
# Names are random and never used again, so whoever has an object may keep it.
CACHE_CONTROL = "public, max-age=31536000, immutable"

_key = re.compile(r"[a-z0-9_-]+(?:/[a-z0-9_-]+)*(?:\.[a-z0-9]+)?", re.ASCII)


class S3Access(msgspec.Struct, frozen=True, kw_only=True):
    """Where a bucket is and who we are there. Without `endpoint` it is Amazon's own service."""

    url: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"
    endpoint: str = ""

    def __repr__(self) -> str:
        return f"S3Access({self.url})"


class Objects:
    """Keys are lower-case words between slashes, perhaps with an ending; never users' words."""

    def __init__(self, store: LocalStore | S3Store, *, deadline_s: float = DEADLINE_S) -> None:
        self._store = store
        self._deadline_s = deadline_s

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store an object under a key of its own.

        Raises:
            Unavailable: not stored, as far as we know.
        """
        attributes: Attributes | None = None
        if isinstance(self._store, S3Store):  # A folder keeps bytes only.
            attributes = {"Content-Type": content_type, "Cache-Control": CACHE_CONTROL}
        try:
            async with asyncio.timeout(self._deadline_s):
                await obstore.put_async(
                    self._store, checked(key), data, attributes=attributes, use_multipart=False
                )
        except (BaseError, OSError) as fault:
            raise Unavailable("The store of files does not answer.") from fault

    async def get(self, key: str) -> bytes | None:
        """None if there is no such object.

        Raises:
            Unavailable: the store did not answer in time.
        """
        try:
            async with asyncio.timeout(self._deadline_s):
                found = await obstore.get_async(self._store, checked(key))
                return bytes(await found.bytes_async())
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as fault:
            raise Unavailable("The store of files does not answer.") from fault

    async def delete(self, key: str) -> None:
        """What is not there is deleted.

        Raises:
            Unavailable: the store did not answer in time.
        """
        try:
            async with asyncio.timeout(self._deadline_s):
                await obstore.delete_async(self._store, checked(key))
        except FileNotFoundError:
            return
        except (BaseError, OSError) as fault:
            raise Unavailable("The store of files does not answer.") from fault

    async def remove(self, payload: dict[str, object]) -> None:
        """Do a job of `promise_removal`."""
        await self.delete(str(payload["key"]))


async def promise_removal(conn: Connection, key: str) -> None:
    """Let the object go after the caller's transaction has committed, and only then."""
    await jobs.enqueue(conn, REMOVE_JOB, {"key": key})


def checked(key: str) -> str:
    """
    Raises:
        ValueError: no key of ours; such a thing never comes from a request that was looked at.
    """
    if not _key.fullmatch(key):
        raise ValueError("this is no key of an object")
    return key


def in_folder(folder: Path) -> Objects:
    """Objects as files below `folder`, which is made if missing."""
    return Objects(LocalStore(folder.absolute(), mkdir=True))


def in_bucket(access: S3Access, *, deadline_s: float = DEADLINE_S) -> Objects:
    """Objects in a bucket; `access.url` is `s3://bucket` or `s3://bucket/prefix`."""
    parts = urlsplit(access.url)
    store = S3Store(
        parts.netloc,
        prefix=parts.path.strip("/") or None,
        config={
            "access_key_id": access.access_key,
            "secret_access_key": access.secret_key,
            "region": access.region,
            **({"endpoint": access.endpoint} if access.endpoint else {}),
        },
        client_options={
            "allow_http": access.endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=min(2.0, deadline_s)),
            "timeout": timedelta(seconds=deadline_s),
        },
        retry_config={
            "max_retries": RETRIES_MAX,
            "retry_timeout": timedelta(seconds=deadline_s),
            "backoff": {
                "base": 2,
                "init_backoff": timedelta(milliseconds=100),
                "max_backoff": timedelta(seconds=1),
            },
        },
    )
    return Objects(store, deadline_s=deadline_s)
