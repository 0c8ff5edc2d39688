"""Rules between the settings of pushes; `server/push_wiring.py` has what they make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from server.standard_webhooks import parse_secret

if TYPE_CHECKING:
    from server.config import Config
    from server.config_rules import Fault

FILE_BYTES_MAX = 65_536
# An adapter is on when the first of its settings is there; the others belong to it.
WEBHOOK = ("push_webhook_url", "push_webhook_secret")
APNS = ("apns_key_file", "apns_key_id", "apns_team_id", "apns_bundle_id")
WEBPUSH = ("webpush_vapid_private_key", "webpush_contact")
# Those of Chrome, Firefox, Edge and Safari.
WEBPUSH_HOSTS = (
    "fcm.googleapis.com",
    "push.services.mozilla.com",
    "notify.windows.com",
    "push.apple.com",
)


def push_faults(config: Config) -> Iterator[Fault]:
    """What is missing or wrong, in any mode."""
    for names in (WEBHOOK, APNS, WEBPUSH):
        missing = [name for name in names if not getattr(config, name)]
        if missing and len(missing) < len(names):
            for name in missing:
                yield name, "is missing; it belongs to the other settings of this kind of push"
    if config.push_webhook_secret is not None:
        yield from _checked("push_webhook_secret", parse_secret, config.secret)
    # What reads the keys is loaded where there are some: all commands have settings, and the
    # database is not started before they hold.
    if config.webpush_vapid_private_key is not None:
        from server.push.webpush import read_vapid_key

        yield from _checked("webpush_vapid_private_key", read_vapid_key, config.secret)
    if config.fcm_credentials_file is not None:
        from server.push.fcm import read_account

        path = config.fcm_credentials_file
        yield from _checked("fcm_credentials_file", lambda _: read_account(read_file(path)))
    if config.apns_key_file is not None:
        from server.push.tokens import read_ec_key

        key_file = config.apns_key_file
        yield from _checked("apns_key_file", lambda _: read_ec_key(read_text(key_file)))
        if find_spec("httpx") is None or find_spec("h2") is None:
            yield "apns_key_file", "needs the extra: pip install 'talktime[push]'"


def push_production_faults(config: Config) -> Iterable[Fault]:
    """What production refuses: telling who calls whom in clear."""
    if config.push_webhook_url and not config.push_webhook_url.startswith("https://"):
        yield "push_webhook_url", "must begin with https://"


def _checked(
    name: str, check: Callable[[str], object], read: Callable[[str], str] = str
) -> Iterator[Fault]:
    try:
        check(read(name))
    except OSError as fault:
        yield name, f"cannot be read: {fault.strerror}"
    except ValueError as fault:
        yield name, str(fault)


def read_file(path: Path) -> bytes:
    """
    Raises:
        OSError: the file cannot be read.
        ValueError: it is no such file.
    """
    with path.open("rb") as file:
        raw = file.read(FILE_BYTES_MAX + 1)
    if len(raw) > FILE_BYTES_MAX:
        raise ValueError("is too large")
    return raw


def read_text(path: Path) -> str:
    try:
        return read_file(path).decode("ascii")
    except UnicodeDecodeError:
        raise ValueError("is no text") from None
