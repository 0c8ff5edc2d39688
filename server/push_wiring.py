"""What the settings of pushes make."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from rest.devices.routes import PushTerms
from server.config import Config
from server.push.addresses import public_socket
from server.push.fcm import FcmPush, read_account
from server.push.port import Adapter
from server.push.queue import PushQueue
from server.push.tokens import read_ec_key
from server.push.webhook import WebhookPush
from server.push.webpush import WebPush, public_text, read_vapid_key
from server.push.wire import Wire
from server.push_settings import read_file, read_text
from signalling.calls.host import Later
from storage.pool import Pool


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
        account, key = read_account(read_file(config.fcm_credentials_file))
        made.append(FcmPush(account, key, clock=clock, wire=Wire()))
    if config.apns_key_file is not None:
        # An extra: there only where it is wanted.
        from server.push.apns import API_URL, SANDBOX_URL, ApnsPush

        made.append(
            ApnsPush(
                read_ec_key(read_text(config.apns_key_file)),
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
