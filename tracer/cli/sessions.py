"""`rubicon sessions`: live and finished sessions."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from tracer.errors import EXIT_OK
from tracer.text import printable, valid_unicode
from tracer.trace import StoredSession, default_folder, stored_sessions

_YEAR_10000_NS = 253_402_300_800_000_000_000


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "sessions",
        help="live and finished sessions",
        description="List the sessions whose traces are in the folder of this user ($RUBICON_TRACES, or "
        "~/.local/state/rubicon/traces), the newest first.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    sessions = stored_sessions()
    for session in sessions:
        print(json.dumps(document(session)).replace("\x7f", "\\u007f") if args.json else line(session))
    if not sessions and not args.json:
        print(f"no sessions in {printable(str(default_folder()))}")
    return EXIT_OK


def document(session: StoredSession) -> dict[str, Any]:
    record = session.session
    return {
        "id": valid_unicode(session.id),
        "live": session.live,
        "started": _time(record.get("start_ns")),
        "targets": _words(record.get("targets")),
        "command": _words(record.get("command")),
        "trace": valid_unicode(str(session.path)),
        "size_bytes": session.size_bytes,
    }


def line(session: StoredSession) -> str:
    record = session.session
    what = " ".join(_words(record.get("command")) or _words(record.get("targets")))
    state = "live    " if session.live else "finished"
    started = _time(record.get("start_ns"))
    return f"{printable(session.id)}  {state}  {started:<20}  {session.size_bytes:>10}  {printable(what)}"


def _words(value: object) -> list[str]:
    """A list of text, whatever a trace may hold in its place."""
    return [valid_unicode(str(word)) for word in value] if isinstance(value, list) else []


def _time(time_ns: object) -> str:
    """RFC 3339 to the second, in UTC; empty when unknown."""
    if not isinstance(time_ns, int) or not 0 <= time_ns < _YEAR_10000_NS:
        return ""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_ns // 1_000_000_000))
