"""What a compiler made, kept for the next start, as that takes seconds.

It lies in rubicon/probes in the XDG cache folder ($XDG_CACHE_HOME), by the hash of all that it was made from.
As it goes into the kernel, or says where that keeps what, it is taken only if nobody but us may write it.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


class Kept:
    """What was made from these parts before, as a JSON object."""

    def __init__(self, parts: Iterable[str], environment: Mapping[str, str]) -> None:
        cache = environment.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        self._folder = Path(cache) / "rubicon" / "probes"
        self._digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()

    @property
    def _path(self) -> Path:
        return self._folder / f"{self._digest}.json"

    def read(self) -> Any:
        """None when there is nothing, or it may be somebody else's."""
        with suppress(OSError, ValueError, KeyError, TypeError), open(self._path, encoding="ascii") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                return None
            kept = json.load(file)
            return kept if kept["made_from"] == self._digest else None
        return None

    def write(self, made: Mapping[str, Any]) -> None:
        """That it cannot be kept is no reason to stop."""
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self._folder, delete=False) as file:
                json.dump({**made, "made_from": self._digest}, file)
            os.replace(file.name, self._path)
