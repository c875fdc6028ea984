"""Reader and verify: what they say of sound, cut, torn, altered and reordered traces."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from tracer.errors import TraceError
from tracer.trace import DamageKind, Reader, TraceState, Writer, ring_records, ring_section, verify
from tracer.trace.blocks import HEADER_BYTES, MAX_RAW_BYTES, NO_HASH, Header, encode_block

SESSION = {"type": "session", "id": "s1"}


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Five blocks: the session, three with 2 critical and 3 bulk records, the end."""
    path = tmp_path / "t.trace"
    with Writer(path) as writer:
        writer.append([SESSION])
        for number in range(3):
            critical = ring_section([bytes([number]) * 40] * 2, 10 + number, 20 + number)
            writer.append((), critical, ring_section([b"file"] * 3, 11, 12), lost_bulk=number)
        writer.append([{"type": "end"}])
    return path


def offsets_of(path: Path) -> list[int]:
    """Where each block begins, and the end of the file."""
    with Reader(path) as reader:
        return [block.offset for block in reader] + [path.stat().st_size]


def rewrite(path: Path, *parts: bytes) -> None:
    path.write_bytes(b"".join(parts))


def test_intact(trace: Path) -> None:
    verdict = verify(trace)
    assert verdict.state is TraceState.UNSEALED
    assert not verdict.trustworthy
    assert (verdict.blocks, verdict.events, verdict.records) == (5, 15, 17)
    assert (verdict.first_ns, verdict.last_ns, verdict.lost_bulk) == (10, 22, 2)
    assert verdict.damage is None
    assert verdict.size_bytes == trace.stat().st_size
    with Reader(trace) as reader:
        assert reader.session == SESSION
        assert len(list(reader)) == len(list(reader)) == 5
        assert reader.damage is None
        assert reader.ended


def test_live_while_the_writer_lives(tmp_path: Path) -> None:
    path = tmp_path / "t"
    with Writer(path) as writer:
        assert verify(path).state is TraceState.LIVE
        writer.append([SESSION])
        with path.open("ab") as file:
            file.write(path.read_bytes()[:50])  # a block half written
        assert verify(path).state is TraceState.LIVE
    assert verify(path).state is TraceState.TORN


def test_cut_at_a_block_boundary(trace: Path) -> None:
    data = trace.read_bytes()
    for number, offset in enumerate(offsets_of(trace)[:-1]):
        rewrite(trace, data[:offset])
        verdict = verify(trace)
        assert (verdict.state, verdict.blocks) == (TraceState.CUT, number)
        assert "the end is missing" in verdict.message


def test_torn_last_block_leaves_the_rest_readable(trace: Path) -> None:
    data, offsets = trace.read_bytes(), offsets_of(trace)
    for tail in (3, HEADER_BYTES, offsets[4] - offsets[3] - 1):
        rewrite(trace, data[: offsets[3] + tail])
        verdict = verify(trace)
        assert (verdict.state, verdict.blocks, verdict.events) == (TraceState.TORN, 3, 10)
        assert verdict.damage is not None
        assert (verdict.damage.block, verdict.damage.offset) == (3, offsets[3])
        with Reader(trace) as reader:
            assert len(list(reader)) == 3
            assert reader.damage == verdict.damage
            assert not reader.ended


def test_zeros_left_by_a_power_failure_are_torn(trace: Path) -> None:
    data, offsets = trace.read_bytes(), offsets_of(trace)
    rewrite(trace, data[: offsets[2]], bytes(4096))
    verdict = verify(trace)
    assert verdict.state is TraceState.TORN
    assert "zeros" in verdict.message


def test_altered_payload_says_where(trace: Path) -> None:
    data, offsets = bytearray(trace.read_bytes()), offsets_of(trace)
    data[offsets[2] + HEADER_BYTES + 5] ^= 1
    trace.write_bytes(data)
    verdict = verify(trace)
    assert (verdict.state, verdict.blocks, verdict.events) == (TraceState.ALTERED, 2, 5)
    assert verdict.damage is not None
    assert (verdict.damage.kind, verdict.damage.block) == (DamageKind.ALTERED, 2)
    assert verdict.message.startswith(f"altered at block 2 (byte {offsets[2]})")
    assert not verdict.trustworthy


@pytest.mark.parametrize("order", [(0, 2, 3, 4), (0, 2, 1, 3, 4), (0, 1, 1, 2, 3, 4)])
def test_removed_moved_or_repeated_blocks(trace: Path, order: tuple[int, ...]) -> None:
    data, offsets = trace.read_bytes(), offsets_of(trace)
    rewrite(trace, *(data[offsets[n] : offsets[n + 1]] for n in order))
    verdict = verify(trace)
    assert verdict.state is TraceState.REORDERED
    assert verdict.damage is not None
    assert verdict.damage.kind is DamageKind.REORDERED


def test_block_of_another_trace_does_not_fit(trace: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    with Writer(other) as writer:
        writer.append([SESSION, {"type": "notice"}])
        writer.append((), ring_section([b"forged"]))
    data, offsets, forged = trace.read_bytes(), offsets_of(trace), other.read_bytes()[offsets_of(other)[1] :]
    rewrite(trace, data[: offsets[1]], forged, data[offsets[2] :])
    verdict = verify(trace)
    assert verdict.damage is not None
    assert verdict.damage.kind is DamageKind.REORDERED
    assert verdict.blocks == 1


@pytest.mark.parametrize(
    ("extra", "state"),
    [(b"x", TraceState.ALTERED), (bytes(8), TraceState.TORN), (b"RBCN", TraceState.TORN)],
)
def test_after_the_end_there_is_room_for_a_seal_alone(trace: Path, extra: bytes, state: TraceState) -> None:
    rewrite(trace, trace.read_bytes(), extra)
    assert verify(trace).state is state


@pytest.mark.parametrize("content", [b"x", b"SQLite format 3\0" * 20, b"RBCX" + bytes(200)])
def test_not_a_trace(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t"
    path.write_bytes(content)
    for use in (verify, Reader):
        with pytest.raises(TraceError, match="is not a trace"):
            use(path)


def test_newer_format_names_both_versions(trace: Path) -> None:
    data = bytearray(trace.read_bytes())
    struct.pack_into("<H", data, 4, 9)
    trace.write_bytes(data)
    with pytest.raises(TraceError, match="has trace format 9, this version of Rubicon reads format 1"):
        Reader(trace)


def test_missing_file_folder_and_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name, reason in (("none", "No such file"), ("", "not a regular file"), ("fifo", "not a regular")):
        with pytest.raises(TraceError, match=reason):
            verify(tmp_path / name)


def test_empty_file_is_cut_and_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.touch()
    assert verify(path).state is TraceState.CUT
    with pytest.raises(TraceError, match="the file is empty"):
        Reader(path)


def forge(path: Path, raw: bytes, header: Header, payload: bytes | None = None) -> None:
    """A single block with a right hash around whatever a hostile hand puts in it."""
    made, block = encode_block(header, raw, b"", b"", zstandard.ZstdCompressor())
    if payload is not None:
        from tracer.trace.blocks import block_hash

        made = replace(made, payload_bytes=len(payload), hash=NO_HASH)
        block = replace(made, hash=block_hash(made, payload)).pack() + payload
    path.write_bytes(block)


def header_of(context: int = 0, critical: int = 0, records: tuple[int, int] = (0, 0)) -> Header:
    return Header(0, 0, 0, records[0], records[1], 0, context, critical, 0, 0, 0, NO_HASH)


LINE = b'{"type":"session"}\n'


@pytest.mark.parametrize(
    ("raw", "header", "message"),
    [
        (LINE, header_of(len(LINE), 0, (2, 0)), "1 context records where the header says 2"),
        (LINE, header_of(7, 0, (1, 0)), "another length"),
        (b"{]\n", header_of(3, 0, (1, 0)), "not JSON"),
        (b"[" * 200_000 + b"\n", header_of(200_001, 0, (1, 0)), "not JSON"),
        (b"[]\n", header_of(3, 0, (1, 0)), "no type"),
        (b"{}\n", header_of(3, 0, (1, 0)), "no type"),
        (LINE + bytes(8), header_of(len(LINE), 8, (1, 3)), "1 critical records where the header says 3"),
        (LINE + b"\xff" * 8, header_of(len(LINE), 8, (1, 1)), "record never finished"),
        (LINE + b"\x09" + bytes(15), header_of(len(LINE), 16, (1, 1)), "longer than its section"),
        (LINE + bytes(12), header_of(len(LINE), 12, (1, 1)), "4 bytes left over"),
        (bytes(8), header_of(0, 8, (0, 1)), "does not begin with a session record"),
        (LINE, header_of(MAX_RAW_BYTES, 8), "more bytes than a block may have"),
    ],
)
def test_right_hash_around_wrong_contents(tmp_path: Path, raw: bytes, header: Header, message: str) -> None:
    path = tmp_path / "t"
    forge(path, raw, header)
    verdict = verify(path)
    assert (verdict.state, verdict.blocks) == (TraceState.ALTERED, 0)
    assert message in verdict.message


@pytest.mark.parametrize("kind", ["bomb", "noise", "trailing"])
def test_hostile_payload_is_refused_before_it_is_unpacked(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "t"
    frame = zstandard.ZstdCompressor().compress
    payload = {"bomb": frame(bytes(2**28)), "noise": b"noise", "trailing": frame(LINE) + b"more"}[kind]
    forge(path, LINE, header_of(len(LINE), 0, (1, 0)), payload)
    verdict = verify(path)
    assert verdict.state is TraceState.ALTERED
    assert "payload" in verdict.message


def test_ring_records_leaves_out_the_discarded() -> None:
    discarded = struct.pack("<II", 5 | 1 << 30, 0) + b"dddddxxx"
    section = ring_section([b"one"]).data + discarded + ring_section([b"", b"12345678"]).data
    assert [bytes(record) for record in ring_records(section)] == [b"one", b"", b"12345678"]


def test_reading_takes_constant_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "t"
    with Writer(path) as writer:
        writer.append([SESSION])
        for _ in range(50):
            writer.append((), ring_section([os.urandom(1000)] * 200))
    tracemalloc.start()
    try:
        assert verify(path).events == 10_000
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
