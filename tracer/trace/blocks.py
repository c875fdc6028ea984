"""One block of a trace: its header, its sections, and the bytes they are on disk. No file is touched here."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import zstandard

from tracer.errors import TraceError
from tracer.records import Section

MAGIC = b"RBCN"
VERSION = 1
NO_HASH = bytes(32)

# Limits of the format: a header that claims more is not believed, so reading a hostile file stays cheap.
MAX_RAW_BYTES = 32 * 2**20
MAX_CONTEXT_BYTES = 8 * 2**20
MAX_PAYLOAD_BYTES = MAX_RAW_BYTES + (MAX_RAW_BYTES >> 8) + 1024  # ZSTD_compressBound, rounded up

_HEADER = struct.Struct("<4sHHQQQIIIIIIIIQQ32s32s")
HEADER_BYTES = _HEADER.size

# include/uapi/linux/bpf.h: BPF_RINGBUF_BUSY_BIT, BPF_RINGBUF_DISCARD_BIT, BPF_RINGBUF_HDR_SZ
_RING_HEADER = struct.Struct("<II")
_RING_BUSY = 1 << 31
_RING_DISCARD = 1 << 30


@dataclass(frozen=True, slots=True)
class Header:
    """A block's header; the table in `tracer.trace` says what each field means."""

    sequence: int
    first_ns: int
    last_ns: int
    context_records: int
    critical_records: int
    bulk_records: int
    context_bytes: int
    critical_bytes: int
    bulk_bytes: int
    lost_critical: int
    lost_bulk: int
    previous: bytes
    payload_bytes: int = 0
    hash: bytes = NO_HASH

    @property
    def raw_bytes(self) -> int:
        """Length of the payload before compression."""
        return self.context_bytes + self.critical_bytes + self.bulk_bytes

    @property
    def block_bytes(self) -> int:
        """Room the block takes on disk."""
        return HEADER_BYTES + self.payload_bytes

    def pack(self) -> bytes:
        return _HEADER.pack(
            MAGIC,
            VERSION,
            HEADER_BYTES,
            self.sequence,
            self.first_ns,
            self.last_ns,
            self.context_records,
            self.critical_records,
            self.bulk_records,
            self.context_bytes,
            self.critical_bytes,
            self.bulk_bytes,
            self.payload_bytes,
            0,
            self.lost_critical,
            self.lost_bulk,
            self.previous,
            self.hash,
        )

    @classmethod
    def unpack(cls, data: bytes) -> Header:
        """The header in the first `HEADER_BYTES` of `data`. Raises TraceError when it cannot be one."""
        magic, version, header_bytes, *fields = _HEADER.unpack_from(data)
        if magic != MAGIC:
            raise TraceError("no block begins here")
        if version != VERSION or header_bytes != HEADER_BYTES:
            raise TraceError(f"block of format version {version} with a header of {header_bytes} bytes")
        payload_bytes, _reserved, lost_critical, lost_bulk, previous, digest = fields[9:]
        in_order = [*fields[:9], lost_critical, lost_bulk, previous, payload_bytes, digest]
        header = cls(*in_order)
        header._check_limits()
        return header

    def _check_limits(self) -> None:
        if (
            self.raw_bytes > MAX_RAW_BYTES
            or self.context_bytes > MAX_CONTEXT_BYTES
            or self.payload_bytes > MAX_PAYLOAD_BYTES
        ):
            raise TraceError("the header claims more bytes than a block may have")


@dataclass(frozen=True, slots=True)
class Block:
    """An intact block: `offset` is where it begins in the file, `critical` and `bulk` are ring-framed."""

    header: Header
    offset: int
    context: tuple[dict[str, Any], ...]
    critical: bytes
    bulk: bytes

    @property
    def ends_trace(self) -> bool:
        return any(record["type"] == "end" for record in self.context)

    @property
    def is_seal(self) -> bool:
        """Whether it holds nothing but a seal, as the last block of a trace does."""
        only_context = not (self.critical or self.bulk) and len(self.context) == 1
        return only_context and self.context[0]["type"] == "seal"


def encode_block(
    header: Header, context: bytes, critical: bytes, bulk: bytes, compressor: zstandard.ZstdCompressor
) -> tuple[Header, bytes]:
    """The block on disk, and `header` with the payload length and the hash filled in."""
    payload = compressor.compress(b"".join((context, critical, bulk)))
    header = replace(header, payload_bytes=len(payload), hash=NO_HASH)
    header = replace(header, hash=block_hash(header, payload))
    return header, header.pack() + payload


def block_hash(header: Header, payload: bytes) -> bytes:
    """SHA-256 over the header with its hash field zeroed, and the payload as it is on disk."""
    digest = hashlib.sha256(replace(header, hash=NO_HASH).pack())
    digest.update(payload)
    return digest.digest()


def decode_block(
    header: Header, payload: bytes, offset: int, decompressor: zstandard.ZstdDecompressor
) -> Block:
    """The sections of a block whose hash was found right. Raises TraceError when they are not as claimed."""
    raw = _decompress(header, payload, decompressor)
    critical_start = header.context_bytes
    bulk_start = critical_start + header.critical_bytes
    context = _decode_context(raw[:critical_start])
    if len(context) != header.context_records:
        raise TraceError(f"{len(context)} context records where the header says {header.context_records}")
    return Block(header, offset, context, raw[critical_start:bulk_start], raw[bulk_start:])


def _decompress(header: Header, payload: bytes, decompressor: zstandard.ZstdDecompressor) -> bytes:
    """The raw sections. The frame's own size is checked first: zstandard allocates what a frame asks for."""
    try:
        if zstandard.frame_content_size(payload) != header.raw_bytes:
            raise TraceError("the payload has another length than the header says")
        return decompressor.decompress(payload, max_output_size=header.raw_bytes, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise TraceError(f"the payload cannot be decompressed: {error}") from None


def encode_context(records: Sequence[Mapping[str, Any]]) -> bytes:
    """JSON lines. Only ASCII is written: bytes that were not UTF-8 (surrogates) come back as they were."""
    return b"".join(json.dumps(record, separators=(",", ":")).encode("ascii") + b"\n" for record in records)


def _decode_context(data: bytes) -> tuple[dict[str, Any], ...]:
    try:
        records = tuple(json.loads(line) for line in data.split(b"\n")[:-1])
    except (ValueError, RecursionError):
        raise TraceError("a context record is not JSON") from None
    if not all(isinstance(record, dict) and isinstance(record.get("type"), str) for record in records):
        raise TraceError("a context record has no type")
    return records


def ring_records(section: bytes) -> Iterator[memoryview]:
    """Each kernel record of a section, discarded ones left out, without copying.

    Raises TraceError where the framing is broken; the records before that place were yielded.
    """
    view = memoryview(section)
    unpack_from = _RING_HEADER.unpack_from
    position, end = 0, len(section)
    while position + 8 <= end:
        word: int = unpack_from(section, position)[0]
        start = position + 8
        stop = start + (word & ~_RING_DISCARD)  # a busy bit makes this longer than any section
        if stop > end:
            raise TraceError(_ring_fault(word, position))
        if not word & _RING_DISCARD:
            yield view[start:stop]
        position = (stop + 7) & ~7
    if position != end:
        raise TraceError(f"kernel record framing broken at byte {position}: {end - position} bytes left over")


def _ring_fault(word: int, position: int) -> str:
    reason = "record never finished" if word & _RING_BUSY else "record longer than its section"
    return f"kernel record framing broken at byte {position}: {reason}"


def ring_section(records: Iterable[bytes], first_ns: int = 0, last_ns: int = 0) -> Section:
    """Frame `records` as the ring buffer does: for tests, fixtures and sources that are not a ring."""
    framed = [_RING_HEADER.pack(len(record), 0) + record + bytes(-len(record) % 8) for record in records]
    return Section(b"".join(framed), len(framed), first_ns, last_ns)
