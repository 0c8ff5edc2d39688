"""The accounts of development: the server makes them, the tools log in as them."""

import msgspec

DEMO_PASSWORD = "talktime-demo"
DEMO_BALANCE_MINOR = 1_000
DEMO_PRICE_MINOR = 120
CALLER_MAIL = "mia@demo.talktime"
PROVIDER_MAIL = "kai@demo.talktime"


class DemoPerson(msgspec.Struct, frozen=True):
    """A provider if there is a price, an admin, or else a customer with money."""

    name: str
    email: str
    price_minor: int | None = None
    admin: bool = False


DEMO = (
    DemoPerson("Mia", CALLER_MAIL),
    DemoPerson("Noah", "noah@demo.talktime"),
    DemoPerson("Kai", PROVIDER_MAIL, DEMO_PRICE_MINOR),
    DemoPerson("Lea", "lea@demo.talktime", 60),
    DemoPerson("Ada", "ada@demo.talktime", admin=True),
)
