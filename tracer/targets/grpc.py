"""One call of gRPC over a unix socket, as container runtimes speak CRI; and the little of protobuf in it.

HTTP/2 is h2's business. Messages of protobuf are read and written by the numbers of their fields, without a
schema, as far as these are numbers, text or messages. https://protobuf.dev/programming-guides/encoding/,
https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

ANSWER_MAX_BYTES = 64 * 2**20
_READ_BYTES = 65_536
_PREFIX_BYTES = 5  # of a message: whether it is compressed, and its length

# By number of the field; a field that comes several times is a list.
Message = Mapping[int, Any]


def call(path: str, method: str, request: Message, timeout_seconds: float) -> bytes:
    """The answer to `method` ("/package.Service/Method"). Raises OSError for whatever is wrong."""
    from h2.exceptions import ProtocolError

    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_seconds)
        connection.connect(path)
        try:
            return _answered(connection, method, encoded(request))
        except ProtocolError as error:
            raise OSError(f"{path}: {error!r}") from error


def _answered(connection: socket.socket, method: str, request: bytes) -> bytes:
    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.events import ConnectionTerminated, DataReceived, StreamEnded, StreamReset

    http = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    http.initiate_connection()
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": method,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    stream = http.get_next_available_stream_id()
    http.send_headers(stream, list(headers.items()))
    http.send_data(stream, b"\0" + len(request).to_bytes(4, "big") + request, end_stream=True)
    told: dict[str, str] = {}
    answer = b""
    while True:
        connection.sendall(http.data_to_send())
        data = connection.recv(_READ_BYTES)
        if not data:
            raise OSError("the connection was closed")
        for event in http.receive_data(data):
            told.update(getattr(event, "headers", None) or {})
            if isinstance(event, DataReceived):
                answer += event.data
                http.acknowledge_received_data(event.flow_controlled_length, stream)
                if len(answer) > ANSWER_MAX_BYTES:
                    raise OSError("the answer is too long")
            elif isinstance(event, StreamEnded):
                return _message_of(answer, told)
            elif isinstance(event, StreamReset | ConnectionTerminated):
                raise OSError(f"the call was ended: {event!r}")


def _message_of(answer: bytes, told: Mapping[str, str]) -> bytes:
    status = told.get("grpc-status", "")
    if status != "0" or len(answer) < _PREFIX_BYTES or answer[0]:
        raise OSError(told.get("grpc-message") or f"gRPC status {status or 'missing'}")
    return answer[_PREFIX_BYTES:]


# ---- protobuf


def encoded(message: Message) -> bytes:
    return b"".join(
        _field(number, each)
        for number, value in message.items()
        for each in (value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value])
    )


def _field(number: int, value: Any) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = encoded(value) if isinstance(value, Mapping) else os.fsencode(value)
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def fields(data: bytes) -> dict[int, list[Any]]:
    """By number: integers, and bytes for what is text or a message. Raises OSError when it is neither."""
    found: dict[int, list[Any]] = {}
    for number, value in _fields(memoryview(data)):
        found.setdefault(number, []).append(value)
    return found


def _fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _read_varint(data, at)
            yield tag >> 3, value
            continue
        size, at = _read_varint(data, at) if kind == 2 else ({1: 8, 5: 4}.get(kind, len(data) + 1), at)
        if at + size > len(data):
            raise OSError("the answer is no message of protobuf")
        yield tag >> 3, bytes(data[at : at + size])
        at += size


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        value, at = value | (byte & 0x7F) << shift, at + 1
        if byte < 0x80:
            return value, at
    raise OSError("the answer is no message of protobuf")


def text(message: Mapping[int, Sequence[Any]], number: int) -> str:
    """A field that is text; "" when it is not there."""
    values = message.get(number)
    return os.fsdecode(values[-1]) if values and isinstance(values[-1], bytes) else ""


def below(message: Mapping[int, Sequence[Any]], number: int) -> dict[int, list[Any]]:
    """A field that is a message; empty when it is not there."""
    values = message.get(number)
    return fields(values[-1]) if values and isinstance(values[-1], bytes) else {}


def mapping(message: Mapping[int, Sequence[Any]], number: int) -> dict[str, str]:
    """A field that is a map from text to text."""
    pairs = (fields(each) for each in message.get(number, ()) if isinstance(each, bytes))
    return {text(pair, 1): text(pair, 2) for pair in pairs}
