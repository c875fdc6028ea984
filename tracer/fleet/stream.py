"""The stream, and what is common to those who put into it and those who take from it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from enum import StrEnum
from urllib.parse import urlsplit

import nats
from nats.aio.client import Client
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.api import StorageType
from nats.js.errors import BadRequestError

from tracer.errors import UsageError
from tracer.fleet import SCHEMES
from tracer.text import printable

STREAM = "RUBICON"
SUBJECTS = "rubicon.trace.*.*"
PIECE_BYTES = 512 * 1024  # of a block; a server takes 1 MiB, if it is not told otherwise
AWAY = (Error, OSError, asyncio.TimeoutError)  # what a server that is not there now raises
_CONNECT_SECONDS = 3
_NOT_IN_A_TOKEN = re.compile(r"[^A-Za-z0-9_-]")


class State(StrEnum):
    LIVE = "live"
    ENDED = "ended"
    CUT = "cut"


@dataclass(frozen=True, order=True, slots=True)
class Piece:
    """Of a block; they are ordered as they are published."""

    block: int
    number: int
    count: int

    @property
    def header(self) -> str:
        return f"{self.block} {self.number} {self.count}"


@dataclass(frozen=True, slots=True)
class Address:
    """`nats://[USER[:PASSWORD]@]HOST[:PORT][/SESSION]`."""

    server: str
    session: str

    @property
    def shown(self) -> str:
        """Without a password."""
        parts = urlsplit(self.server)
        return printable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")


def parse_address(text: str) -> Address:
    """Raises UsageError."""
    try:
        parts = urlsplit(text)
        is_wrong = parts.scheme not in SCHEMES or not parts.hostname or bool(parts.port and parts.port < 0)
    except ValueError:
        is_wrong = True
    if is_wrong:
        raise UsageError(f"{printable(text)} is not like nats://127.0.0.1:4222/SESSION")
    return Address(f"{parts.scheme}://{parts.netloc}", parts.path.strip("/"))


def token(name: str) -> str:
    """A name as a part of a subject, and as a part of the name of a file."""
    return _NOT_IN_A_TOKEN.sub("_", name) or "_"


def subject_of(host: str, session: str) -> str:
    return f"rubicon.trace.{token(host)}.{token(session)}"


def piece_of(headers: Mapping[str, str] | None) -> Piece | None:
    """None when it is not one of ours."""
    numbers = (headers or {}).get("Rubicon-Block", "").split(" ")
    if len(numbers) != len(fields(Piece)) or not all(number.isdecimal() for number in numbers):
        return None
    return Piece(*map(int, numbers))


async def connected(address: Address) -> tuple[Client, JetStreamContext]:
    """With the stream made, if there was none. Raises one of AWAY."""
    client = await nats.connect(
        address.server,
        allow_reconnect=False,  # who lost it asks the stream anew where it was
        max_reconnect_attempts=1,  # heeded by the first connect, too, which else never ends
        reconnect_time_wait=0,
        connect_timeout=_CONNECT_SECONDS,
        error_cb=_passed_over,
        name="rubicon",
    )
    try:
        stream = client.jetstream(timeout=_CONNECT_SECONDS)
        try:
            await stream.add_stream(name=STREAM, subjects=[SUBJECTS], storage=StorageType.FILE)
        except BadRequestError:  # it is there, and somebody has set it up in another way
            await stream.stream_info(STREAM)
    except BaseException:
        await closed(client)
        raise
    return client, stream


async def closed(client: Client) -> None:
    with suppress(*AWAY):
        await asyncio.wait_for(client.close(), _CONNECT_SECONDS)


async def _passed_over(_error: Exception) -> None:
    """What went wrong is raised where it is waited for."""


def cause(error: BaseException) -> str:
    return printable(str(error) or type(error).__name__)
