"""The switches of notifications, as profile and settings show them."""

from signalling.events import Shape


class Toggles(Shape, frozen=True):
    """What is off makes neither a row in the inbox nor an event.

    `incomingCall` is about missed calls: the phone rings all the same.
    """

    incoming_call: bool
    call_summary: bool
    wallet_alert: bool
    marketing: bool
