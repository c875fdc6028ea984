"""`rubicon diff A B`: what the second run did that the first did not."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracer.cli.export import say_faults
from tracer.cli.progress import shown_progress
from tracer.cli.remote import find
from tracer.cli.table import aligned
from tracer.errors import EXIT_OK, EXIT_VIOLATION
from tracer.export.ecs import timestamp
from tracer.export.jsonl import line_of
from tracer.export.recorded import closing_of
from tracer.pipeline import open_trace
from tracer.text import printable, valid_unicode

if TYPE_CHECKING:
    from tracer.export.deeds import Deed, Deeds, Kind

_TITLES = {
    "executable": "programs that ran",
    "peer": "peers",
    "path": "files that were changed",
    "read": "files that were read, of those that rules ask for",
    "rule": "rules that were broken",
}
_PROGRAMS_SHOWN = 3


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "diff",
        help="what a second run did that a first did not",
        description="Programs, peers, files and broken rules of the second trace that the first does not "
        "have. "
        "Names that change from run to run count as one (temporary files, versions, chosen ports). "
        "Exit status 0 when there is nothing new, 3 when there is.",
    )
    parser.add_argument("first", metavar="A", help="a trace file or the id of a session")
    parser.add_argument("second", metavar="B", help="likewise")
    parser.add_argument("--json", action="store_true", help="one JSON object for each that is new")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    first, second = (_deeds_of(find(name)) for name in (args.first, args.second))
    found = second.beyond(first)
    if args.json:
        for its in found.values():
            for deed in its:
                sys.stdout.write(line_of(document(deed)))
    else:
        _show(found)
    for name, deeds in ((args.first, first), (args.second, second)):
        if deeds.left_out:
            _say(f"{name}: {deeds.left_out:,} events were too much to compare")
    count = sum(map(len, found.values()))
    _say(f"{count} new" if count else "nothing new")
    return EXIT_VIOLATION if count else EXIT_OK


def _deeds_of(path: Path) -> Deeds:
    """With what is missing told: what was lost in the first looks new in the second."""
    from tracer.export.deeds import Deeds
    from tracer.rules import Given

    with open_trace(path) as trace:
        deeds = Deeds(Given.of_session(trace.session).all)
        with shown_progress(lambda: trace.progress, to_terminal=False):
            deeds.take(trace.items())
        closing = closing_of(trace)
        if lost := sum(closing.losses.values()):
            _say(f"{path}: {lost:,} records were lost")
        say_faults(path, closing)
    return deeds


def document(deed: Deed) -> dict[str, Any]:
    event = deed.first
    return {
        "kind": deed.kind.value,
        "name": valid_unicode(deed.name),
        "first": valid_unicode(deed.example),
        "time": timestamp(event.time_ns),
        "action": event.action.value,
        "count": deed.count,
        "programs": [valid_unicode(program) for program, _ in deed.programs.most_common()],
        "command_line": valid_unicode(event.process.command_line),
        **({"step": valid_unicode(event.step.id)} if event.step else {}),
    }


def _show(found: dict[Kind, list[Deed]]) -> None:
    for kind, its in found.items():
        if its:
            print(f"{_TITLES[kind]}:")
            rows = [_row(deed) for deed in its]
            print("\n".join(f"  {line}" for line in aligned(rows[0], rows[1:]).splitlines()))


def _row(deed: Deed) -> tuple[str, ...]:
    names = [
        printable(program.rpartition("/")[2]) for program, _ in deed.programs.most_common(_PROGRAMS_SHOWN)
    ]
    more = len(deed.programs) - len(names)
    by = ", ".join(names) + (f" and {more} more" if more > 0 else "")
    name = f"{deed.example} ({deed.name})" if deed.kind == "rule" else deed.name
    step = f"step {printable(deed.first.step.id)}" if deed.first.step else ""
    return printable(name), f"{deed.count} times" if deed.count > 1 else "once", f"by {by}", step


def _say(what: str) -> None:
    print(f"rubicon: {printable(what)}", file=sys.stderr)
