"""Commands about presence: set one's own, watch that of providers."""

from signalling import commands
from signalling.codes import Code, Refused
from signalling.events import Empty, Shape
from signalling.handlers.context import Context
from signalling.sockets.device import Device
from storage import providers
from storage.errors import NotFound
from storage.pool import within

WRITE_S = 4.0


async def set_presence(
    context: Context, device: Device, _: commands.Frame, data: commands.PresenceSet
) -> Shape:
    try:
        provider = await within(WRITE_S, store(context, device, data))
    except NotFound:
        raise Refused(
            Code.FORBIDDEN, "Only providers have a presence; make a profile first."
        ) from None
    context.board.set(device.user_id, provider.availability, provider.status_message)
    return Empty()


async def store(context: Context, device: Device, data: commands.PresenceSet) -> providers.Provider:
    async with context.pool.acquire() as conn:
        return await providers.set_availability(
            conn, device.user_id, data.presence, data.status_message
        )


def watch(
    context: Context, device: Device, _: commands.Frame, data: commands.PresenceWatch
) -> Shape:
    context.board.watch(device, data)
    return Empty()
