"""`rubicon sessions`: live and finished sessions."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from tracer.errors import EXIT_OK
from tracer.text import printable
from tracer.trace import StoredSession, default_folder, stored_sessions


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
        print(json.dumps(document(session)) if args.json else line(session))
    if not sessions and not args.json:
        print(f"no sessions in {printable(str(default_folder()))}")
    return EXIT_OK


def document(session: StoredSession) -> dict[str, Any]:
    record = session.session
    return {
        "id": session.id,
        "live": session.live,
        "started": _time(record.get("start_ns")),
        "targets": list(record.get("targets") or ()),
        "command": list(record.get("command") or ()),
        "trace": str(session.path),
        "size_bytes": session.size_bytes,
    }


def line(session: StoredSession) -> str:
    record = session.session
    what = " ".join(str(word) for word in record.get("command") or record.get("targets") or ())
    state = "live    " if session.live else "finished"
    return (
        f"{session.id}  {state}  {_time(record.get('start_ns'))}  {session.size_bytes:>10}  {printable(what)}"
    )


def _time(time_ns: object) -> str:
    """RFC 3339 to the second, in UTC; empty when unknown."""
    if not isinstance(time_ns, int):
        return ""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_ns // 1_000_000_000))
