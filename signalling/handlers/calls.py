"""Commands about calls: request, ring, accept, reject, end, take, and signalling and reports."""

import re as regex
from collections.abc import Coroutine
from typing import Any
from uuid import UUID

import msgspec

from signalling import commands
from signalling.calls.host import Cause, Host
from signalling.codes import By, Code, Party, Refused, State
from signalling.core import inputs
from signalling.core.model import leg_of
from signalling.core.negotiation import is_relay, relay_only_sdp
from signalling.core.views import snapshot
from signalling.events import CallOk, Empty, EndOk, IceOk, Shape, SignalOk
from signalling.handlers.context import Context
from signalling.handlers.sender import Sender
from signalling.turn import ice_servers

EMPTY = Empty()
_BRACE = ord("{")
_candidate = msgspec.json.Decoder(dict[str, msgspec.Raw])
_text = msgspec.json.Decoder(str)
_encode = msgspec.json.encode
# What `RTCIceCandidate.toJSON()` has; an app that sends the whole object sends addresses besides.
CANDIDATE_KEYS = ("candidate", "sdpMid", "sdpMLineIndex", "usernameFragment")
# The object that is relayed says whose it is; unknown keys were refused, so none can be there yet.
_RELATED = regex.compile(r" raddr \S+ rport \d+")
_FROM = {party: b',"from":"%b"}' % party.value.encode() for party in Party}


def cause(device: Sender, frame: commands.Frame) -> Cause:
    return Cause(device.user_id, device.id, frame.id)


def find(context: Context, device: Sender, frame: commands.Frame) -> tuple[Host, Party]:
    """The live call of the frame and the sender's side in it.

    Raises:
        Refused: bad_frame, not_found, not_your_call, or call_over with what the call came to.
    """
    if frame.call is None:
        raise Refused(Code.BAD_FRAME, "The command needs the call's id.", field="call")
    host = context.registry.find(frame.call)
    if host is not None:
        party = host.party(device.user_id)
        if host.call.state is not State.ENDED:
            return host, party
    raise context.actions.over(device.user_id, frame.call)


def as_callee(context: Context, device: Sender, frame: commands.Frame) -> Host:
    host, party = find(context, device, frame)
    if party is not Party.CALLEE:
        raise Refused(Code.FORBIDDEN, "Only the callee may do that.")
    return host


def feed(
    context: Context, host: Host, device: Sender, frame: commands.Frame, given: inputs.Input
) -> None:
    """Give the call what a frame says.

    Raises:
        Refused: why the call does not take it; call_over if its time was up a moment before.
    """
    host.feed(given, cause(device, frame))
    if host.call.state is State.ENDED:
        raise context.actions.over(device.user_id, host.id)


async def request(
    context: Context, device: Sender, frame: commands.Frame, wish: commands.CallRequest
) -> Shape:
    opened = await context.actions.request(
        caller=device.user_id,
        device=device.id,
        wish=wish,
        request_id=frame.id,
        connect_on=wish.connect_on or "media",
    )
    # A call that is over needs no relay, and gets no credentials for one.
    live = opened.snapshot.state is not State.ENDED
    servers = context.ice(device.user_id, opened.call_id) if live else []
    if opened.merged:
        return CallOk(call=opened.snapshot, ice_servers=servers, merged=True)
    return CallOk(call=opened.snapshot, ice_servers=servers)


def ringing(
    context: Context, device: Sender, frame: commands.Frame, _: commands.CallRinging
) -> Shape:
    host = as_callee(context, device, frame)
    feed(context, host, device, frame, inputs.Rang(device.id))
    return EMPTY


def accept(
    context: Context, device: Sender, frame: commands.Frame, data: commands.CallAccept
) -> Shape:
    host = as_callee(context, device, frame)
    given = inputs.Accepted(device.id, data.media.audio, data.media.video)
    feed(context, host, device, frame, given)
    context.fanout.mark(device.user_id, device.id, in_call=True)
    return call_ok(context, host, device)


def call_ok(context: Context, host: Host, device: Sender) -> CallOk:
    now_ms = context.clock()
    return CallOk(
        call=snapshot(host.call, host.party(device.user_id), device.id, now_ms),
        ice_servers=ice_servers(context.turn, device.user_id, host.id, now_ms),
    )


def reject(
    context: Context, device: Sender, frame: commands.Frame, data: commands.CallReject
) -> Shape:
    host = as_callee(context, device, frame)
    host.feed(inputs.Rejected(data.reason, data.note), cause(device, frame))
    if host.call.by is not By.CALLEE:
        raise context.actions.over(device.user_id, host.id)
    return EMPTY


def end(
    context: Context, device: Sender, frame: commands.Frame, _: commands.Nothing
) -> Coroutine[Any, Any, Shape] | None:
    """Answered as soon as everybody is told what the call came to."""
    if frame.call is None:
        raise Refused(Code.BAD_FRAME, "The command needs the call's id.", field="call")
    host = context.registry.find(frame.call)
    if host is None:
        return stored_end(context, device, frame.call)
    party = host.party(device.user_id)
    if host.call.state is not State.ENDED:
        host.feed(inputs.HungUp(party), cause(device, frame))
    if frame.id is not None:
        command_id = frame.id
        host.when_told(lambda final: device.ok(command_id, EndOk(call=host.id, final=final)))
    return None


async def stored_end(context: Context, device: Sender, call_id: UUID) -> Shape:
    """Ending what ended before changes nothing and has the same answer."""
    return EndOk(call=call_id, final=await context.actions.end(device.user_id, call_id))


def take(context: Context, device: Sender, frame: commands.Frame, _: commands.Nothing) -> Shape:
    host, party = find(context, device, frame)
    before = leg_of(host.call, party).device
    feed(context, host, device, frame, inputs.Took(party, device.id))
    if before is not None and before != device.id:
        context.fanout.mark(device.user_id, before, in_call=False)
    context.fanout.mark(device.user_id, device.id, in_call=True)
    return call_ok(context, host, device)


def signal(
    context: Context, device: Sender, frame: commands.Frame, data: commands.Signal
) -> Shape | None:
    host, party = find(context, device, frame)
    limits = host.call.limits
    raw = bytes(frame.data)
    kind = data.kind
    if kind == "candidates":
        check_candidates(data, limits.candidates_max, limits.candidate_bytes_max)
    elif kind != "end":
        check_sdp(data, limits.sdp_bytes_max)
    elif data.sdp or data.candidates is not None:
        raise Refused(Code.BAD_FRAME, "`end` carries nothing.", field="data.kind")
    if limits.relay_only:
        raw = without_addresses(data)
    raw = raw.rstrip()
    relayed = raw[:-1] + _FROM[party]
    if kind == "candidates" and host.pass_on(party, device.id, data.gen, relayed):
        return None if frame.id is None else EMPTY
    given = inputs.Signalled(party, device.id, kind, data.gen, relayed)
    feed(context, host, device, frame, given)
    return None if frame.id is None else what_became(host, party, data)


def what_became(host: Host, party: Party, data: commands.Signal) -> Shape:
    """The answer to a signal: empty when it went on, or waits for the other leg."""
    talk = host.call.talk
    if data.gen < talk.gen:
        return SignalOk(stale=True)
    if data.kind == "offer" and talk.offerer is not party:
        return SignalOk(superseded=True)
    return EMPTY


def check_sdp(data: commands.Signal, bytes_max: int) -> None:
    if not data.sdp or data.candidates is not None:
        raise Refused(
            Code.BAD_FRAME, f"An {data.kind} carries `sdp` and nothing else.", field="data.sdp"
        )
    text = bytes(data.sdp)
    if not text.startswith(b'"v=0'):
        raise Refused(Code.BAD_FRAME, "An SDP is a text beginning with v=0.", field="data.sdp")
    if len(text) > bytes_max:
        raise Refused(Code.TOO_LARGE, f"An SDP has at most {bytes_max} bytes.", field="data.sdp")


def check_candidates(data: commands.Signal, count_max: int, bytes_max: int) -> None:
    if not data.candidates or data.sdp:
        raise Refused(
            Code.BAD_FRAME,
            "A candidates frame carries `candidates`, at least one.",
            field="data.candidates",
        )
    if len(data.candidates) > count_max:
        raise Refused(
            Code.TOO_LARGE, f"At most {count_max} candidates a frame.", field="data.candidates"
        )
    for number, candidate in enumerate(data.candidates):
        text = bytes(candidate)
        if text[0] != _BRACE:
            where = f"data.candidates[{number}]"
            raise Refused(Code.BAD_FRAME, "A candidate is an object.", field=where)
        if len(text) > bytes_max:
            where, why = f"data.candidates[{number}]", f"A candidate has at most {bytes_max} bytes."
            raise Refused(Code.TOO_LARGE, why, field=where)


def without_addresses(data: commands.Signal) -> bytes:
    """The signal with relay candidates only; for deployments that hide users' addresses."""
    body: dict[str, object] = {"kind": data.kind, "gen": data.gen}
    try:
        if data.sdp:
            body["sdp"] = unrelated(relay_only_sdp(_text.decode(data.sdp)))
        if data.candidates is not None:
            body["candidates"] = relay_candidates(data.candidates)
    except msgspec.DecodeError as fault:
        raise Refused(Code.BAD_FRAME, str(fault), field="data") from None
    return _encode(body)


def relay_candidates(candidates: list[msgspec.Raw]) -> list[dict[str, object]]:
    kept: list[dict[str, object]] = []
    for raw in candidates:
        candidate = _candidate.decode(raw)
        line = _text.decode(candidate.get("candidate", b'""'))
        if is_relay(line):
            named = {key: value for key, value in candidate.items() if key in CANDIDATE_KEYS}
            kept.append({**named, "candidate": unrelated(line)})
    return kept


def unrelated(text: str) -> str:
    """Without related addresses: that of a relay candidate is where its owner really is."""
    return _RELATED.sub(" raddr 0.0.0.0 rport 0", text)


def media_connected(
    context: Context, device: Sender, frame: commands.Frame, data: commands.MediaConnected
) -> Shape:
    host, party = find(context, device, frame)
    given = inputs.MediaConnected(party, device.id, data.relay, data.ms)
    feed(context, host, device, frame, given)
    return EMPTY


def media_lost(
    context: Context, device: Sender, frame: commands.Frame, data: commands.MediaLost
) -> Shape:
    host, party = find(context, device, frame)
    host.feed(inputs.MediaLost(party, device.id, data.why), cause(device, frame))
    return EMPTY


def media_stats(
    context: Context, device: Sender, frame: commands.Frame, data: commands.MediaStats
) -> None:
    host, party = find(context, device, frame)
    host.feed(
        inputs.MediaStats(
            party, device.id, data.in_bytes, data.rtt_ms, data.loss, data.jitter_ms, data.relay
        )
    )


def media_state(
    context: Context, device: Sender, frame: commands.Frame, data: commands.MediaState
) -> Shape:
    host, party = find(context, device, frame)
    given = inputs.MediaState(party, device.id, data.audio, data.video, data.hold)
    feed(context, host, device, frame, given)
    return EMPTY


def servers(context: Context, device: Sender, frame: commands.Frame, _: commands.Nothing) -> Shape:
    host, party = find(context, device, frame)
    leg = leg_of(host.call, party)
    if leg.device != device.id:
        raise Refused(Code.NOT_YOUR_LEG, "Only the device that is the leg gets credentials.")
    return IceOk(ice_servers=context.ice(device.user_id, host.id))
