"""Files by key: the same in a folder and in a bucket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.errors import Unavailable
from storage.objects import Objects, S3Access, in_bucket, in_folder
from tests.storage.bucket import Bucket, bucket_server

ACCESS_KEY = "an-access-key"
KEY = "avatars/0192f1a0-0000-7000-8000-000000000000/abc123.webp"


@pytest.fixture
async def bucket() -> AsyncIterator[Bucket]:
    async with bucket_server(ACCESS_KEY) as running:
        yield running


def objects_of(bucket: Bucket, access_key: str = ACCESS_KEY, deadline_s: float = 5.0) -> Objects:
    access = S3Access(
        url="s3://pictures/talktime",
        endpoint=bucket.url,
        access_key=access_key,
        secret_key="a-secret-key",
    )
    return in_bucket(access, deadline_s=deadline_s)


@pytest.fixture(params=["folder", "bucket"])
def objects(request: pytest.FixtureRequest, bucket: Bucket, tmp_path: Path) -> Objects:
    return in_folder(tmp_path / "objects") if request.param == "folder" else objects_of(bucket)


async def test_what_was_put_is_there_until_it_is_deleted(objects: Objects) -> None:
    assert await objects.get(KEY) is None
    await objects.put(KEY, b"a picture", "image/webp")
    assert await objects.get(KEY) == b"a picture"
    await objects.delete(KEY)
    assert await objects.get(KEY) is None
    await objects.delete(KEY)


async def test_a_bucket_is_told_the_type_and_keeps_below_its_prefix(bucket: Bucket) -> None:
    await objects_of(bucket).put(KEY, b"a picture", "image/webp")
    body, headers = bucket.kept[f"/pictures/talktime/{KEY}"]
    assert body == b"a picture"
    assert headers["Content-Type"] == "image/webp"
    assert "immutable" in headers["Cache-Control"]
    assert "a-secret-key" not in str(headers)


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "a/../b", "../a", "a//b", "a/", "a\0b", "A/b", "a b", ".hidden"]
)
async def test_no_key_leads_out_of_the_store(objects: Objects, key: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        await objects.put(key, b"x", "image/webp")
    with pytest.raises(ValueError, match="no key"):
        await objects.get(key)
    with pytest.raises(ValueError, match="no key"):
        await objects.delete(key)


async def test_a_passing_fault_of_the_bucket_is_tried_again(bucket: Bucket) -> None:
    bucket.fails = 1
    await objects_of(bucket).put(KEY, b"a picture", "image/webp")
    assert bucket.asked == 2
    bucket.fails = 9
    with pytest.raises(Unavailable):
        await objects_of(bucket).get(KEY)
    assert bucket.asked == 5


async def test_a_silent_bucket_is_waited_for_until_the_deadline(bucket: Bucket) -> None:
    bucket.silent = True
    objects = objects_of(bucket, deadline_s=0.2)
    with pytest.raises(Unavailable):
        await objects.put(KEY, b"a picture", "image/webp")
    with pytest.raises(Unavailable):
        await objects.get(KEY)
    with pytest.raises(Unavailable):
        await objects.delete(KEY)


async def test_a_stranger_s_key_opens_no_bucket(bucket: Bucket) -> None:
    with pytest.raises(Unavailable):
        await objects_of(bucket, access_key="somebody-else").put(KEY, b"x", "image/webp")
    assert bucket.kept == {}


async def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    objects = in_folder(tmp_path / "objects")
    (tmp_path / "objects" / "avatars").write_bytes(b"a file where a folder should be")
    with pytest.raises(Unavailable):
        await objects.put(KEY, b"x", "image/webp")


def test_the_access_does_not_show_its_secret() -> None:
    access = S3Access(url="s3://pictures", access_key="the-key", secret_key="the-secret")
    assert repr(access) == "S3Access(s3://pictures)"
