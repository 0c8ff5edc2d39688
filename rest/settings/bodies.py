"""What the routes of settings take and answer."""

from typing import ClassVar

from msgspec import UNSET, UnsetType

from rest.http.body import Body
from rest.http.toggles import Toggles
from signalling.events import Shape


class ToggleChange(Body, frozen=True):
    """Only what changes."""

    CODES: ClassVar[dict[str, str]] = {
        "incomingCall": "INVALID_VALUE",
        "callSummary": "INVALID_VALUE",
        "walletAlert": "INVALID_VALUE",
        "marketing": "INVALID_VALUE",
    }

    incoming_call: bool | UnsetType = UNSET
    call_summary: bool | UnsetType = UNSET
    wallet_alert: bool | UnsetType = UNSET
    marketing: bool | UnsetType = UNSET


class Links(Shape, frozen=True):
    """Pages of the operator; null where the deployment names none."""

    terms: str | None
    privacy: str | None


class AppVersions(Shape, frozen=True):
    """An app older than `minSupportedVersion` should ask for its update; null: nobody said."""

    version: str | None
    min_supported_version: str | None


class SettingsView(Shape, frozen=True):
    notifications: Toggles
    links: Links
    app: AppVersions


class SettingsAnswer(Shape, frozen=True):
    settings: SettingsView


class TogglesAnswer(Shape, frozen=True):
    settings: Toggles
