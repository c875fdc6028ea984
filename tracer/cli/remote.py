"""Traces by name, be they here or in a NATS server: `nats://HOST/SESSION`."""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tracer.errors import RubiconError, UsageError
from tracer.fleet import is_address
from tracer.text import printable
from tracer.trace import find_trace

if TYPE_CHECKING:
    from tracer.fleet.mirror import Mirror


def find(word: str) -> Path:
    """The trace meant; what is elsewhere is fetched as far as it is there, and gone when this program ends.

    Raises what `find_trace` does; RubiconError when the server cannot be reached, UsageError when it does not
    have the session.
    """
    if not is_address(word):
        return find_trace(word)
    mirror, folder = mirror_of(word)
    mirror.fetch()
    return the_one_in(folder, word)


def mirror_of(url: str) -> tuple[Mirror, Path]:
    """And the folder it fills, which goes when this program ends."""
    try:
        from tracer.fleet.mirror import Mirror
        from tracer.fleet.stream import parse_address
    except ModuleNotFoundError as error:
        raise RubiconError(f"{printable(url)} needs {error.name}: pip install 'rubicon[fleet]'") from error
    folder = Path(tempfile.mkdtemp(prefix="rubicon-nats-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Mirror(parse_address(url), folder, _say), folder


def the_one_in(folder: Path, url: str) -> Path:
    found = sorted(folder.glob("*.trace"))
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"{printable(url)}: there is no such session")
    names = ", ".join(path.stem for path in found[-5:])
    raise UsageError(f"{printable(url)}: name one of its sessions after a slash, such as {names}")


def _say(what: str) -> None:
    print(f"rubicon: {printable(what)}", file=sys.stderr, flush=True)
