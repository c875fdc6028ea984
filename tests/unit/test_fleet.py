"""Traces through a stream: addresses, and what a stream may hold that is no trace."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from nats.js.api import RawStreamMsg

from tracer.errors import UsageError
from tracer.fleet import is_address
from tracer.fleet.mirror import BLOCK_PIECES_MAX, Mirror
from tracer.fleet.stream import Address, Piece, parse_address, piece_of, subject_of, token
from tracer.trace import Reader, TraceState, Writer, ring_section, verify

SESSION = {"type": "session", "id": "s-1"}
ADDRESS = Address("nats://127.0.0.1:4222", "")


@pytest.mark.parametrize(
    ("text", "server", "session", "shown"),
    [
        ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222", "", "nats://127.0.0.1:4222"),
        ("tls://ada:secret@h.example/s-1", "tls://ada:secret@h.example", "s-1", "tls://h.example"),
        ("nats://[::1]:4222/s/", "nats://[::1]:4222", "s", "nats://[::1]:4222"),
    ],
)
def test_addresses(text: str, server: str, session: str, shown: str) -> None:
    address = parse_address(text)
    assert (address.server, address.session, address.shown) == (server, session, shown)
    assert is_address(text)


@pytest.mark.parametrize(
    "text", ["nats://", "http://h", "h:4222", "nats://h:99999", "nats://[::1", "nats://h:x\x1b[2J"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError, match="is not like nats://") as raised:
        parse_address(text)
    assert str(raised.value).isprintable()


def test_names_become_parts_of_a_subject() -> None:
    assert subject_of("h.example \x1b>*", "20260101-s") == "rubicon.trace.h_example____.20260101-s"
    assert (token(""), token("../a")) == ("_", "___a")


def trace_of(path: Path) -> list[bytes]:
    """Of a whole trace: its blocks as bytes."""
    with Writer(path) as writer:
        writer.append([SESSION])
        for number in range(4):
            writer.append((), ring_section([bytes([number])], 1, 2))
        writer.append([{"type": "end"}])
    with Reader(path) as reader:
        return [reader.bytes_of(block) for block in reader]


def message(
    block: int,
    data: bytes,
    number: int = 0,
    count: int = 1,
    *,
    state: str = "live",
    subject: str = "rubicon.trace.h.s-1",
) -> RawStreamMsg:
    headers = {"Rubicon-Block": f"{block} {number} {count}", "Rubicon-State": state}
    return RawStreamMsg(subject=subject, data=data, headers=headers)


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    (tmp_path / "copies").mkdir()
    return Mirror(ADDRESS, tmp_path / "copies")


def test_a_copy_is_the_trace_and_live_until_its_end(mirror: Mirror, tmp_path: Path) -> None:
    """In pieces, and with some that come twice."""
    blocks = trace_of(tmp_path / "t")
    copy = tmp_path / "copies/s-1.trace"
    for number, data in enumerate(blocks):
        state = "ended" if number == len(blocks) - 1 else "live"
        half = len(data) // 2
        mirror._take(message(number, data[:half], 0, 2))
        mirror._take(message(number, data[:half], 0, 2))
        mirror._take(message(number, data[half:], 1, 2, state=state))
        with Reader(copy) as reader:
            assert reader.is_live() == (state == "live")
    assert copy.read_bytes() == (tmp_path / "t").read_bytes()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    mirror._take(message(len(blocks), b"more"))
    assert verify(copy).state is TraceState.UNSEALED


def test_a_session_may_begin_with_a_later_part_and_may_be_cut(mirror: Mirror, tmp_path: Path) -> None:
    mirror._take(message(7, b"x"))
    mirror._take(message(8, b"y"))
    mirror._take(message(9, b"", state="cut"))
    mirror._take(message(9, b"z"))
    assert (tmp_path / "copies/s-1.trace").read_bytes() == b"xy"


@pytest.mark.parametrize(
    "wrong",
    [
        message(3, b"x"),
        message(1, b"x", 1, 2),
        message(1, b"x", 0, BLOCK_PIECES_MAX + 1),
    ],
)
def test_what_does_not_follow_ends_the_copy_and_is_said(
    mirror: Mirror, tmp_path: Path, wrong: RawStreamMsg
) -> None:
    said: list[str] = []
    mirror._say = said.append
    mirror._take(message(0, b"a"))
    mirror._take(wrong)
    mirror._take(message(1, b"b"))
    assert (tmp_path / "copies/s-1.trace").read_bytes() == b"a"
    assert "a block is missing in the stream" in said[0]


@pytest.mark.parametrize(
    "other",
    [
        message(0, b"x", subject="rubicon.trace.h"),
        message(0, b"x", subject="rubicon.trace.h.../../etc"),
        message(0, b"x", subject="rubicon.trace.h.\x1b[2J"),
        RawStreamMsg(subject="rubicon.trace.h.s-1", data=b"x", headers=None),
        RawStreamMsg(subject="rubicon.trace.h.s-1", data=b"x", headers={"Rubicon-Block": "0 0"}),
        RawStreamMsg(subject="rubicon.trace.h.s-1", data=b"x", headers={"Rubicon-Block": "-1 0 1"}),
        RawStreamMsg(subject=None, data=None, headers={}),
    ],
)
def test_what_is_not_of_ours_is_passed_over(mirror: Mirror, tmp_path: Path, other: RawStreamMsg) -> None:
    mirror._take(other)
    assert list((tmp_path / "copies").iterdir()) == []


def test_pieces_are_in_order() -> None:
    assert Piece(1, 0, 2) < Piece(1, 1, 2) < Piece(2, 0, 1)
    assert piece_of({"Rubicon-Block": Piece(7, 1, 2).header}) == Piece(7, 1, 2)
