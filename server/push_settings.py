"""Rules between the settings of pushes, and what they make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from rest.devices.routes import PushTerms
from server.push.addresses import public_socket
from server.push.fcm import FcmPush, read_account
from server.push.port import Adapter
from server.push.queue import PushQueue
from server.push.tokens import read_ec_key
from server.push.webhook import WebhookPush
from server.push.webpush import WebPush, public_text, read_vapid_key
from server.push.wire import Wire
from server.standard_webhooks import parse_secret
from signalling.calls.host import Later
from storage.pool import Pool

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
    if config.webpush_vapid_private_key is not None:
        yield from _checked("webpush_vapid_private_key", read_vapid_key, config.secret)
    if config.fcm_credentials_file is not None:
        path = config.fcm_credentials_file
        yield from _checked("fcm_credentials_file", lambda _: read_account(_read(path)))
    if config.apns_key_file is not None:
        key_file = config.apns_key_file
        yield from _checked("apns_key_file", lambda _: read_ec_key(_read_text(key_file)))
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


def _read(path: Path) -> bytes:
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


def _read_text(path: Path) -> str:
    try:
        return _read(path).decode("ascii")
    except UnicodeDecodeError:
        raise ValueError("is no text") from None


def make_push(
    config: Config,
    pool: Pool,
    clock: Callable[[], int],
    later: Later,
    observe: Callable[[str, str], None],
    ringing: Callable[[UUID], bool],
) -> PushQueue:
    """The queue with an adapter for each kind of push that is set; see `PushQueue`."""
    return PushQueue(
        pool,
        _adapters(config, clock),
        clock=clock,
        later=later,
        observe=observe,
        ringing=ringing,
    )


def _adapters(config: Config, clock: Callable[[], int]) -> list[Adapter]:
    made: list[Adapter] = []
    if config.push_webhook_url:
        secret = config.secret("push_webhook_secret")
        made.append(WebhookPush(config.push_webhook_url, secret=secret, clock=clock, wire=Wire()))
    if config.fcm_credentials_file is not None:
        account, key = read_account(_read(config.fcm_credentials_file))
        made.append(FcmPush(account, key, clock=clock, wire=Wire()))
    if config.apns_key_file is not None:
        # An extra: there only where it is wanted.
        from server.push.apns import API_URL, SANDBOX_URL, ApnsPush

        made.append(
            ApnsPush(
                read_ec_key(_read_text(config.apns_key_file)),
                key_id=config.apns_key_id,
                team_id=config.apns_team_id,
                bundle_id=config.apns_bundle_id,
                clock=clock,
                api_url=SANDBOX_URL if config.apns_sandbox else API_URL,
            )
        )
    if config.webpush_vapid_private_key is not None:
        made.append(
            WebPush(
                read_vapid_key(config.secret("webpush_vapid_private_key")),
                contact=config.webpush_contact,
                hosts=config.webpush_hosts,
                clock=clock,
                wire=Wire(socket_factory=None if config.is_dev else public_socket),
                plain=config.is_dev,
            )
        )
    return made


def push_terms(config: Config) -> PushTerms:
    """What a device may register with."""
    by = {
        "webhook": config.push_webhook_url,
        "fcm": config.fcm_credentials_file,
        "apns": config.apns_key_file,
        "webpush": config.webpush_vapid_private_key,
    }
    vapid = config.secret("webpush_vapid_private_key")
    return PushTerms(
        providers=frozenset(name for name, setting in by.items() if setting),
        vapid_public_key=public_text(read_vapid_key(vapid)) if vapid else None,
        hosts=config.webpush_hosts,
        plain=config.is_dev,
    )
