"""Where sessions keep their traces when nobody says otherwise, and which there are."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracer.errors import TraceError
from tracer.text import printable
from tracer.trace.read import Reader

SUFFIX = ".trace"
_NAMED_MAX = 5  # sessions, in an error


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A trace in the folder; `session` is its session record, and `live` whether it is still written."""

    path: Path
    session: Mapping[str, Any]
    live: bool
    size_bytes: int

    @property
    def id(self) -> str:
        return str(self.session.get("id") or self.path.stem)


def default_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """$RUBICON_TRACES, or rubicon/traces in the XDG state folder (XDG Base Directory Specification 0.8)."""
    if chosen := environment.get("RUBICON_TRACES"):
        return Path(chosen)
    state = environment.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(state) / "rubicon" / "traces"


def new_session_id(now_ns: int | None = None) -> str:
    """Sorts by time: "20261124-213610-7f3a", in UTC."""
    seconds = (time.time_ns() if now_ns is None else now_ns) // 1_000_000_000
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(seconds))}-{secrets.token_hex(2)}"


def new_trace_path(session_id: str, folder: Path | None = None) -> Path:
    """A place for a new trace; makes the folder, for its owner alone. Raises TraceError when it cannot."""
    folder = folder or default_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise TraceError(f"cannot make the folder {printable(str(folder))}: {error.strerror}") from None
    return folder / f"{session_id}{SUFFIX}"


def stored_sessions(folder: Path | None = None) -> list[StoredSession]:
    """The newest first; files that are no traces are left out."""
    folder = folder or default_folder()
    found = [session for path in folder.glob(f"*{SUFFIX}") if (session := _stored(path)) is not None]
    return sorted(found, key=_age, reverse=True)


def _age(session: StoredSession) -> tuple[int, str]:
    """Sorts by the start, as far as the trace tells one."""
    start_ns = session.session.get("start_ns")
    return (start_ns if isinstance(start_ns, int) else 0), session.id


def _stored(path: Path) -> StoredSession | None:
    try:
        with Reader(path) as reader:
            return StoredSession(path, reader.session, reader.is_live(), reader.size_bytes)
    except TraceError:
        return None


def newest_trace(folder: Path | None = None) -> Path | None:
    """The newest live session before the newest finished one; None when there is no session."""
    sessions = stored_sessions(folder)
    live = [each for each in sessions if each.live]
    return next((each.path for each in live or sessions), None)


def find_trace(word: str | None, folder: Path | None = None) -> Path:
    """The trace meant by a path, the id of a session or the beginning of one; None means the newest.

    Raises TraceError when there is none.
    """
    if word is not None and (os.sep in word or os.path.exists(word)):
        return Path(word)
    if word is None:
        if (newest := newest_trace(folder)) is not None:
            return newest
        raise TraceError(f"there is no session yet: {printable(str(folder or default_folder()))} holds none")
    sessions = stored_sessions(folder)
    matching = [each for each in sessions if each.id.startswith(word)]
    exact = [each for each in matching if each.id == word]
    if len(chosen := exact or matching) == 1:
        return chosen[0].path
    if matching:
        raise TraceError(f"{printable(word)} may be {_ids(matching)}")
    near = _ids(sessions)
    raise TraceError(
        f"there is no trace or session {printable(word)}" + (f"; there are {near}" if near else "")
    )


def _ids(sessions: Sequence[StoredSession]) -> str:
    return ", ".join(printable(each.id) for each in sessions[:_NAMED_MAX])
