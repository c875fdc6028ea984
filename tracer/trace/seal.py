"""Seals: signatures over the head of the hash chain, which say that it was we who wrote all before them.

A seal is a context record. It names a block, always the one before the block it stands in, and signs that
block's hash, which covers every block before. The first comes with the second block, others about once a
minute, the last as the only record of the last block, after the end record.

    {"type": "seal", "block": 7, "head": "<hash of block 7>", "time_ns": <Unix epoch>,
     "key": "ssh-ed25519 AAAA...", "signature": "<128 hexadecimal digits>"}

The key is also named in the session record, so that a trace whose seals were taken out tells on itself.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Mapping
from typing import Any

from tracer.trace.keys import PublicKey, SigningKey

SEAL_SECONDS = 60.0
_DOMAIN = b"rubicon trace seal 1\0"  # so that a signature of ours means nothing anywhere else
_PLACE = struct.Struct("<QQ")
_UINT64 = 2**64


class Sealer:
    """Makes the seals of one trace. `on_seal` gets each one, on the writer's thread, and must not wait."""

    def __init__(
        self,
        key: SigningKey,
        *,
        on_seal: Callable[[Mapping[str, Any]], object] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key = key
        self._on_seal = on_seal
        self._clock = clock
        self._due = float("-inf")

    @property
    def public(self) -> PublicKey:
        return self._key.public

    def is_due(self) -> bool:
        return self._clock() >= self._due

    def seal(self, block: int, head: bytes) -> dict[str, Any]:
        """The record that signs `head`, the hash of block number `block`."""
        self._due = self._clock() + SEAL_SECONDS
        time_ns = time.time_ns()
        record = {
            "type": "seal",
            "block": block,
            "head": head.hex(),
            "time_ns": time_ns,
            "key": self._key.public.line,
            "signature": self._key.sign(_message(block, head, time_ns)).hex(),
        }
        self._on_seal(record)
        return record


def _message(block: int, head: bytes, time_ns: int) -> bytes:
    return _DOMAIN + _PLACE.pack(block, time_ns) + head


def seal_fault(record: Mapping[str, Any], block: int, head: bytes) -> str:
    """What is wrong with a seal that should be of this block; "" when nothing is."""
    time_ns = record.get("time_ns")
    try:
        key = PublicKey.parse(str(record.get("key")))
        signature = bytes.fromhex(str(record.get("signature")))
    except ValueError:
        return "a seal has no key or no signature"
    if record.get("block") != block or record.get("head") != head.hex():
        return "a seal is of another block than the one before it"
    if not isinstance(time_ns, int) or not 0 <= time_ns < _UINT64:
        return "a seal has no time"
    return "" if key.signed(_message(block, head, time_ns), signature) else "a seal has a wrong signature"
