"""Seals: a sealed trace tells every change, whoever makes it without the key."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tracer.errors import TraceError
from tracer.trace import (
    DamageKind,
    PublicKey,
    Reader,
    Sealer,
    SigningKey,
    TraceState,
    Writer,
    ring_section,
    verify,
)
from tracer.trace.blocks import NO_HASH, Block, encode_block, encode_context
from tracer.trace.seal import SEAL_SECONDS

KEY = SigningKey.generate()
TRUSTED = {KEY.public: "ours"}
SESSION = {"type": "session", "id": "s1", "key": KEY.public.line}
Rewrite = Callable[[Block], list[Mapping[str, Any]]]


def write(path: Path, key: SigningKey = KEY, **options: Any) -> None:
    """Four blocks: the session; a seal and five events; the end; a seal."""
    with Writer(path, sealer=Sealer(key, **options)) as writer:
        writer.append([SESSION])
        writer.append((), ring_section([b"act"] * 2, 10, 20), ring_section([b"file"] * 3, 11, 12))
        writer.append([{"type": "end"}])


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "t.trace"
    write(path)
    return path


def blocks_of(path: Path) -> list[Block]:
    with Reader(path) as reader:
        return list(reader)


def forge(path: Path, context_of: Rewrite, *, leave_out: Callable[[Block], bool] = lambda _: False) -> None:
    """Write the trace anew, with other context records and a right chain, as one without the key can."""
    compressor, previous, parts = zstandard.ZstdCompressor(), NO_HASH, []
    for sequence, block in enumerate(each for each in blocks_of(path) if not leave_out(each)):
        context = context_of(block)
        lines = encode_context(context)
        header = replace(
            block.header,
            sequence=sequence,
            previous=previous,
            context_records=len(context),
            context_bytes=len(lines),
        )
        header, data = encode_block(header, lines, block.critical, block.bulk, compressor)
        previous = header.hash
        parts.append(data)
    path.write_bytes(b"".join(parts))


def test_sealed_from_the_first_block_to_the_last(trace: Path) -> None:
    verdict = verify(trace, TRUSTED)
    assert (verdict.state, verdict.trustworthy) == (TraceState.INTACT, True)
    assert (verdict.blocks, verdict.events) == (4, 5)
    assert (verdict.sealed.key, verdict.sealed.name) == (KEY.public.fingerprint, "ours")
    blocks = blocks_of(trace)
    assert (verdict.sealed.blocks, verdict.sealed.head) == (3, blocks[2].header.hash.hex())
    assert [[record["type"] for record in block.context] for block in blocks] == [
        ["session"],
        ["seal"],
        ["end"],
        ["seal"],
    ]


@pytest.mark.timeout(300)  # about ten thousand traces
def test_every_bit_that_flips_is_found(trace: Path) -> None:
    data = trace.read_bytes()
    ends = [block.offset + block.header.block_bytes for block in blocks_of(trace)]
    with trace.open("r+b", buffering=0) as file:
        for place, mask in product(range(len(data)), (1 << bit for bit in range(8))):
            os.pwrite(file.fileno(), bytes([data[place] ^ mask]), place)
            if place < 6:  # the magic and the version: then it is no trace of ours at all
                with pytest.raises(TraceError):
                    verify(trace, TRUSTED)
            else:
                damage = verify(trace, TRUSTED).damage
                assert damage is not None, f"byte {place}, bit {mask:#x}"
                assert damage.block == sum(end <= place for end in ends), f"byte {place}, bit {mask:#x}"
            os.pwrite(file.fileno(), data[place : place + 1], place)


def test_every_truncation_is_found(trace: Path) -> None:
    data = trace.read_bytes()
    starts = [block.offset for block in blocks_of(trace)]
    for length in range(len(data)):
        trace.write_bytes(data[:length])
        verdict = verify(trace, TRUSTED)
        if length in starts:
            assert (verdict.state, verdict.blocks) == (TraceState.CUT, starts.index(length))
            continue
        assert verdict.state is TraceState.TORN
        assert verdict.damage is not None
        assert verdict.damage.block == sum(start < length for start in starts) - 1


def test_a_new_chain_does_not_make_up_for_the_key(trace: Path) -> None:
    forge(trace, lambda block: [dict(record, id="another") for record in block.context])
    verdict = verify(trace, TRUSTED)
    assert verdict.state is TraceState.ALTERED
    assert verdict.damage is not None
    assert (verdict.damage.kind, verdict.damage.block) == (DamageKind.ALTERED, 1)
    assert "a seal" in verdict.damage.message


def test_seals_taken_out(trace: Path) -> None:
    def without(block: Block) -> list[Mapping[str, Any]]:
        return [record for record in block.context if record["type"] != "seal"]

    forge(trace, without, leave_out=lambda block: block.is_seal and not block.critical)
    assert verify(trace, TRUSTED).state is TraceState.CUT, "the session record names a key"

    def unpromised(block: Block) -> list[Mapping[str, Any]]:
        return [{k: v for k, v in record.items() if k != "key"} for record in without(block)]

    forge(trace, unpromised)
    assert verify(trace, TRUSTED).state is TraceState.UNSEALED
    assert not verify(trace, TRUSTED).trustworthy


def test_another_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = SigningKey.generate()
    write(tmp_path / "mixed", other)
    verdict = verify(tmp_path / "mixed", {other.public: "other"})
    assert verdict.state is TraceState.ALTERED, "by another than the session record names"
    monkeypatch.setitem(SESSION, "key", other.public.line)
    write(tmp_path / "whole", other)
    assert verify(tmp_path / "whole", TRUSTED).state is TraceState.WRONG_KEY
    assert verify(tmp_path / "whole").state is TraceState.INTACT, "nothing to hold it against"


def test_a_seal_from_elsewhere(tmp_path: Path, trace: Path) -> None:
    write(tmp_path / "other")
    foreign = blocks_of(tmp_path / "other")[1].context[0]
    forge(trace, lambda block: [foreign if record["type"] == "seal" else record for record in block.context])
    assert verify(trace, TRUSTED).state is TraceState.ALTERED


@pytest.mark.parametrize(
    "change",
    [
        {"key": 7},
        {"signature": "xx"},
        {"signature": ""},
        {"block": "0"},
        {"head": None},
        {"time_ns": -1},
        {"time_ns": 2**64},
        {"time_ns": 1},
        {"key": "ssh-rsa AAAA"},
    ],
)
def test_hostile_seals(trace: Path, change: dict[str, Any]) -> None:
    def changed(block: Block) -> list[Mapping[str, Any]]:
        seals = block.header.sequence == 1
        return [record | change if seals else record for record in block.context]

    forge(trace, changed)
    assert verify(trace, TRUSTED).state is TraceState.ALTERED


def test_a_minute_between_seals(tmp_path: Path) -> None:
    now = 100.0
    sealed: list[int] = []
    sealer = Sealer(KEY, on_seal=lambda seal: sealed.append(seal["block"]), clock=lambda: now)
    with Writer(tmp_path / "t", sealer=sealer) as writer:
        for _ in range(5):
            writer.append([SESSION])
        now += SEAL_SECONDS
        for _ in range(3):
            writer.append([SESSION])
    assert sealed == [0, 4, 7]


def test_a_killed_engine_leaves_what_it_sealed(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "t", sealer=Sealer(KEY))
    for _ in range(3):
        writer.append([SESSION])
    data = (tmp_path / "t").read_bytes()
    writer.close()
    (tmp_path / "killed").write_bytes(data)
    verdict = verify(tmp_path / "killed", TRUSTED)
    assert (verdict.state, verdict.blocks, verdict.sealed.blocks) == (TraceState.CUT, 3, 1)


def test_nothing_is_sealed_in_an_empty_trace(tmp_path: Path) -> None:
    Writer(tmp_path / "t", sealer=Sealer(KEY)).close()
    assert (tmp_path / "t").stat().st_size == 0


def test_no_record_after_the_end(trace: Path) -> None:
    data = trace.read_bytes()
    for tail in (data, b"\0" * 8, b"RBCN"):
        trace.write_bytes(data + tail)
        assert verify(trace, TRUSTED).state is TraceState.ALTERED
    forge(trace, lambda block: [{"type": "end"}, *block.context] if block.is_seal else [*block.context])
    assert verify(trace, TRUSTED).state is TraceState.ALTERED


def test_the_record_as_documented(trace: Path) -> None:
    seal = blocks_of(trace)[3].context[0]
    assert set(seal) == {"type", "block", "head", "time_ns", "key", "signature"}
    message = b"rubicon trace seal 1\0" + (2).to_bytes(8, "little") + seal["time_ns"].to_bytes(8, "little")
    message += bytes.fromhex(seal["head"])
    assert PublicKey.parse(seal["key"]).signed(message, bytes.fromhex(seal["signature"]))
    assert json.dumps(seal)
