"""Which peers earlier sessions had: so that a new one stands out. A small file beside the traces."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from tracer.text import valid_unicode

FILE = "known-peers.json"
MAX_PEERS = 10_000
MAX_BYTES = 4 * 2**20


class KnownPeers:
    """Peers (`tui.traffic.known_as`) with the session that had them first. What cannot be read or written is
    passed over: it is a convenience, and nothing is judged by it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def read(self) -> dict[str, str]:
        with suppress(OSError, ValueError):
            if self._path.stat().st_size <= MAX_BYTES:
                found = json.loads(self._path.read_bytes())
                if isinstance(found, dict):
                    return {str(peer): str(session) for peer, session in found.items()}
        return {}

    def remember(self, session: str, peers: Iterable[str]) -> None:
        known = self.read()
        new = {valid_unicode(peer): session for peer in peers if valid_unicode(peer) not in known}
        if not new or not session or not self._path.parent.is_dir():
            return
        kept = dict(list({**known, **new}.items())[-MAX_PEERS:])
        with suppress(OSError):
            descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{FILE}.")
            with open(descriptor, "w", encoding="ascii") as file:
                json.dump(kept, file)
            os.replace(name, self._path)


def before(known: Mapping[str, str], session: str) -> frozenset[str]:
    """Those that another session had first."""
    return frozenset(peer for peer, first in known.items() if first != session)
