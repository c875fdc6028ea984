"""Files that only their owner may read: traced arguments, paths and names may be secrets."""

from __future__ import annotations

import os


def private(path: str, flags: int) -> int:
    """An `opener` for `open`: a file that is made is of mode 0600 at most."""
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
