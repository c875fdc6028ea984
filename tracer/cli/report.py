"""`rubicon report TRACE`: an audit report, one page of HTML."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tracer.cli.export import refuse_to_overwrite, writing_to, written
from tracer.cli.progress import shown_progress
from tracer.cli.remote import find
from tracer.errors import EXIT_OK
from tracer.export import Summary
from tracer.export.documents import Item
from tracer.export.recorded import closing_of
from tracer.pipeline import RecordedTrace, open_trace
from tracer.text import printable
from tracer.trace import Keyring, verify


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "report",
        help="an audit report: one page of HTML",
        description="Write one self-contained page: the verdict and its limits, a timeline, violations "
        "with their lineage and step, processes, peers, files, integrity, and the rules in force.",
    )
    parser.add_argument("trace", metavar="TRACE", help="a trace file or the id of a session")
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, help="a file (default: stdout)")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    from tracer.export import report
    from tracer.export.audit import Audit
    from tracer.rules import Given

    path = find(args.trace)
    integrity = verify(path, Keyring().known())
    with open_trace(path) as trace:
        refuse_to_overwrite(path, args.output)
        summary, audit = Summary(), Audit(Given.of_session(trace.session).all.get("workspace", ()))
        with shown_progress(lambda: trace.progress, to_terminal=False):
            audit.take(_counted(trace, summary))
        summary.closing = closing_of(trace)
        session: Mapping[str, Any] = {name: trace.session.get(name) for name in _TOLD}
        with writing_to(args.output), written(args.output) as out:
            report.write(out, session, audit, summary, integrity=integrity, made_ns=time.time_ns())
    if args.output:
        print(f"rubicon: {printable(str(args.output))}: {summary.verdict.value}", file=sys.stderr)
    return EXIT_OK


_TOLD = (
    "id", "targets", "command", "tier", "loader", "start_ns", "host", "kernel", "machine", "version", "rules",
    "unseen",
)  # fmt: skip


def _counted(trace: RecordedTrace, summary: Summary) -> Iterator[Item]:
    for event, violations in trace.items():
        summary.add(event, violations)
        yield event, violations
