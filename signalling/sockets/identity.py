"""Whose socket it is."""

from uuid import UUID

import msgspec

from signalling.events import Profile


class Identity(msgspec.Struct, frozen=True):
    """Whose socket it is. `session_id` is the login, `expires_ms` the end of its access token."""

    user_id: UUID
    session_id: UUID
    profile: Profile
    roles: frozenset[str]
    expires_ms: int
