"""What a server says of itself at `/metrics`."""

import asyncio
import re
import urllib.request
from collections.abc import Iterable

_bucket = re.compile(r'^(\w+)_bucket\{(?:[^}]*,)?le="([^"]+)"[^}]*\} (\S+)$', re.MULTILINE)


async def read_metrics(host: str, port: int) -> str:
    return await asyncio.to_thread(_read, f"http://{host}:{port}/metrics")


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        body: bytes = answer.read()
    return body.decode()


def longest_s(before: str, after: str, name: str) -> float:
    """No time that histogram `name` got between the two was longer; infinite beyond its buckets."""
    old, new = counts(before, name), counts(after, name)
    grown = {bound: count - old.get(bound, 0.0) for bound, count in new.items()}
    total = max(grown.values(), default=0.0)
    reached = [bound for bound, count in grown.items() if count >= total]
    return min(reached) if total else 0.0


def counts(text: str, name: str) -> dict[float, float]:
    """How many times were at most so long, over all labels."""
    found: dict[float, float] = {}
    for each, bound, count in _matches(text):
        if each == name:
            found[bound] = found.get(bound, 0.0) + count
    return found


def _matches(text: str) -> Iterable[tuple[str, float, float]]:
    for name, bound, count in _bucket.findall(text):
        yield name, float(bound), float(count)
