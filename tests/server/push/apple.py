"""A server that stands for APNs: HTTP/2 in clear text, one answer for every request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded


@dataclass
class Request:
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Apple:
    """`status` None: no answer at all. `seen` is what it was sent, `connections` over how many."""

    status: int | None = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    seen: list[Request] = field(default_factory=list)
    connections: int = 0
    url: str = ""

    def refuse(self, status: int, reason: str, **headers: str) -> None:
        self.status, self.body = status, json.dumps({"reason": reason}).encode()
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        open_streams: dict[int, Request] = {}
        try:
            while raw := await reader.read(65_536):
                for event in connection.receive_data(raw):
                    if isinstance(event, RequestReceived):
                        named = {str(name): str(value) for name, value in event.headers}
                        open_streams[event.stream_id] = Request(named)
                    elif isinstance(event, DataReceived):
                        open_streams[event.stream_id].body += event.data
                        connection.acknowledge_received_data(
                            event.flow_controlled_length, event.stream_id
                        )
                    elif isinstance(event, StreamEnded):
                        self.seen.append(open_streams.pop(event.stream_id))
                        self._answer(connection, event.stream_id)
                writer.write(connection.data_to_send())
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    def _answer(self, connection: H2Connection, stream: int) -> None:
        if self.status is None:
            return
        headers = [(":status", str(self.status)), *self.headers.items()]
        connection.send_headers(stream, headers, end_stream=not self.body)
        window = min(
            connection.local_flow_control_window(stream), connection.max_outbound_frame_size
        )
        sent = 0
        while sent < len(self.body):
            part = self.body[sent : sent + window]
            sent += len(part)
            connection.send_data(stream, part, end_stream=sent == len(self.body))


@asynccontextmanager
async def apple() -> AsyncIterator[Apple]:
    there = Apple()
    server = await asyncio.start_server(there.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    there.url = f"http://{host}:{port}"
    try:
        yield there
    finally:
        server.close()
        await server.wait_closed()
