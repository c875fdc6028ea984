"""No bytes, however bad, crash a reader of traces; no change of a trace goes unnoticed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracer.errors import TraceError
from tracer.trace import Reader, TraceState, Writer, ring_records, ring_section, verify
from tracer.trace.blocks import MAGIC

fuzz = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def small_trace(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("fuzz") / "t"
    with Writer(path) as writer:
        writer.append([{"type": "session"}])
        writer.append((), ring_section([b"exec"], 5, 5), ring_section([b"file"], 6, 6), lost_bulk=1)
        writer.append([{"type": "end"}])
    return path.read_bytes()


def state_of(path: Path, data: bytes) -> TraceState | None:
    """What verify says of `data`, None when it says that this is no trace; the reader must agree."""
    path.write_bytes(data)
    try:
        verdict = verify(path)
    except TraceError:
        with pytest.raises(TraceError):
            Reader(path)
        return None
    assert verdict.damage is None or 0 <= verdict.damage.offset <= len(data)
    read_all(path)
    return verdict.state


def read_all(path: Path) -> None:
    try:
        with Reader(path) as reader:
            for block in reader:
                list(ring_records(block.critical))
    except TraceError:
        pass


def test_every_flipped_bit_is_found(small_trace: bytes, tmp_path: Path) -> None:
    assert state_of(tmp_path / "t", small_trace) is TraceState.UNSEALED
    for place in range(len(small_trace) * 8):
        data = bytearray(small_trace)
        data[place // 8] ^= 1 << place % 8
        state = state_of(tmp_path / "t", bytes(data))
        assert state in (TraceState.ALTERED, TraceState.REORDERED, TraceState.TORN, None), place
        assert state is not None or place < 48  # only a changed magic or version makes it another file


def test_every_truncation_is_found(small_trace: bytes, tmp_path: Path) -> None:
    for length in range(len(small_trace)):
        assert state_of(tmp_path / "t", small_trace[:length]) in (TraceState.TORN, TraceState.CUT), length


@fuzz
@given(st.binary(max_size=2000), st.booleans())
def test_random_bytes(tmp_path: Path, data: bytes, begins_well: bool) -> None:
    start = MAGIC + b"\x01\x00\x90\x00" if begins_well else b""
    assert state_of(tmp_path / "t", start + data) is not TraceState.UNSEALED


@fuzz
@given(data=st.data())
def test_bytes_overwritten_removed_or_put_in(small_trace: bytes, tmp_path: Path, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(small_trace)))
    stop = data.draw(st.integers(start, len(small_trace)))
    changed = small_trace[:start] + data.draw(st.binary(max_size=300)) + small_trace[stop:]
    state = state_of(tmp_path / "t", changed)
    assert (state is TraceState.UNSEALED) == (changed == small_trace)


@fuzz
@given(st.binary(max_size=400))
def test_ring_walk_of_random_bytes_ends(section: bytes) -> None:
    count = 0
    try:
        for _ in ring_records(section):
            count += 1
    except TraceError:
        pass
    assert count <= len(section) // 8


@fuzz
@given(st.lists(st.binary(max_size=40), max_size=20))
def test_ring_framing_round_trip(records: list[bytes]) -> None:
    section = ring_section(records)
    assert [bytes(record) for record in ring_records(section.data)] == records
    assert section.records == len(records)
    assert len(section.data) % 8 == 0
