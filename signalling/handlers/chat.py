"""Chat inside a call: messages are stored once and told to both users' devices."""

from uuid import UUID

from signalling import commands, events
from signalling.calls.host import Host
from signalling.codes import Code, Refused, State
from signalling.events import Empty, Message, MessageOk, Shape
from signalling.frames import Encoded, encode_event
from signalling.handlers.context import Context
from signalling.handlers.sender import Sender
from storage import blocks, chat
from storage.ids import new_id
from storage.pool import within

WRITE_S = 4.0


def conversation(context: Context, device: Sender, conversation_id: UUID) -> Host:
    """The live call whose conversation this is; a call and its conversation share the id."""
    host = context.registry.find(conversation_id)
    if host is None or host.call.state is State.ENDED:
        over = context.actions.over(device.user_id, conversation_id)
        over.field = "data.conversation"
        raise over
    host.party(device.user_id)
    if host.call.accepted_ms is None:
        raise Refused(Code.WRONG_STATE, "Chat opens when the call is answered.")
    return host


def tell(context: Context, host: Host, event: Encoded, sender: Sender) -> None:
    for user_id in host.users():
        but = sender.id if user_id == sender.user_id else None
        context.fanout.to_user(user_id, event, but=but)


async def send(
    context: Context, device: Sender, frame: commands.Frame, data: commands.ChatSend
) -> Shape:
    host = conversation(context, device, data.conversation)
    client_id = f"{device.id}/{frame.id}" if frame.id is not None else str(new_id())
    stored, first = await within(WRITE_S, store(context, host, device, client_id, data.text))
    if first:
        event = encode_event(
            events.ChatMessage(message=stored), context.clock(), call=data.conversation
        )
        tell(context, host, event, device)
    return MessageOk(message=stored)


async def store(
    context: Context, host: Host, device: Sender, client_id: str, text: str
) -> tuple[Message, bool]:
    async with context.pool.acquire() as conn, conn.transaction():
        if await blocks.is_between(conn, *host.users()):
            raise Refused(Code.BLOCKED, "Chat between the two of you is blocked.")
        await chat.open_call_conversation(conn, host.id, host.users())
        row, first, _ = await chat.send_message(conn, host.id, device.user_id, client_id, text)
    message = Message(
        id=row.id,
        conversation=host.id,
        sender=row.sender,
        text=row.text,
        created_at=row.created_ms,
    )
    return message, first


async def read(
    context: Context, device: Sender, _: commands.Frame, data: commands.ChatRead
) -> Shape:
    host = conversation(context, device, data.conversation)
    await within(WRITE_S, mark(context, device, data))
    event = events.ChatRead(
        conversation=data.conversation, user_id=device.user_id, message=data.message
    )
    tell(context, host, encode_event(event, context.clock(), call=data.conversation), device)
    return Empty()


async def mark(context: Context, device: Sender, data: commands.ChatRead) -> None:
    async with context.pool.acquire() as conn:
        await chat.mark_read(conn, data.conversation, device.user_id, data.message)


def typing(context: Context, device: Sender, _: commands.Frame, data: commands.ChatTyping) -> Shape:
    host = conversation(context, device, data.conversation)
    event = events.ChatTyping(
        conversation=data.conversation, user_id=device.user_id, typing=data.typing
    )
    tell(context, host, encode_event(event, context.clock(), call=data.conversation), device)
    return Empty()
