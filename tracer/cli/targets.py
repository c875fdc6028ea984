"""`rubicon targets`: what can be attached to right now."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from tracer.cli.table import aligned
from tracer.errors import EXIT_OK
from tracer.export.jsonl import line_of
from tracer.targets.roster import Found, listing
from tracer.text import printable, valid_unicode
from tracer.trace import stored_sessions

_COLUMNS = ("KIND", "TARGET", "IMAGE OR NAME", "PROCESSES", "SINCE", "WATCHED BY")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "targets",
        help="what can be attached to right now",
        description="List the containers, pods, units and sandboxes that run now, as `attach` takes them.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--names", action="store_true", help="the targets alone, for shells to complete")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    found, silent = listing()
    for words in silent:
        print(f"rubicon: {printable(words)}", file=sys.stderr)
    if args.names:
        print(*(printable(each.word) for each in found), sep="\n")
        return EXIT_OK
    watching = _watching()
    rows = [(each, watching.get(each.word, [])) for each in found]
    if args.json:
        for each, sessions in rows:
            sys.stdout.write(line_of(document(each, sessions)))
    elif rows:
        print(table(rows))
    else:
        print("nothing but processes (pid:N) and cgroups (cgroup:PATH) can be attached to here")
    return EXIT_OK


def _watching() -> dict[str, list[str]]:
    """The live sessions of this user by what they watch."""
    found: dict[str, list[str]] = {}
    for session in stored_sessions():
        words = session.session.get("targets")
        for word in words if session.live and isinstance(words, list) else []:
            found.setdefault(str(word), []).append(session.id)
    return found


def document(found: Found, sessions: Sequence[str]) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "target": valid_unicode(found.word),
        "id": valid_unicode(found.id),
        "image": valid_unicode(found.image),
        "processes": found.processes,
        "since": found.since,
        "sessions": [valid_unicode(each) for each in sessions],
    }


def table(rows: Sequence[tuple[Found, Sequence[str]]]) -> str:
    return aligned(_COLUMNS, list(map(_cells, rows)))


def _cells(row: tuple[Found, Sequence[str]]) -> tuple[str, ...]:
    found, sessions = row
    return (
        found.kind,
        printable(found.word),
        printable(found.image),
        str(found.processes),
        found.since,
        " ".join(map(printable, sessions)),
    )
