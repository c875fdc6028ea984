"""`rubicon export TRACE --format jsonl`: a trace in a form that other programs read."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tracer.errors import EXIT_OK, RubiconError, UsageError
from tracer.export import Closing, Summary, session_facts, write_jsonl
from tracer.pipeline import RecordedTrace, open_trace
from tracer.text import printable
from tracer.trace import find_trace
from tracer.where import Where, WhereError, compile_where

FORMATS = ("jsonl",)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "export",
        help="a trace in a form other programs read",
        description="Write the events and violations of a trace to stdout or a file.",
    )
    parser.add_argument("trace", metavar="TRACE", help="a trace file or the id of a session")
    parser.add_argument("--format", required=True, choices=FORMATS, help="jsonl: ECS objects, one a line")
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, help="a file (default: stdout)")
    parser.add_argument(
        "--where",
        metavar="FILTER",
        type=_where,
        default=Where(),
        help="only events that pass, as in 'exe:curl and dest.port:443 not path:/tmp/*' (see the README)",
    )
    parser.add_argument("--only", choices=("violations",), help="leave out everything else")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    """Export what is intact, and say on stderr when that is not all."""
    path = find_trace(args.trace)
    with open_trace(path) as trace:
        _refuse_to_overwrite(path, args.output)
        try:
            with _output(args.output) as out:
                summary = export(trace, out, only_violations=args.only == "violations", where=args.where)
        except BrokenPipeError:  # the reader has seen enough, as in `rubicon export ... | head`
            raise
        except OSError as error:
            raise RubiconError(f"cannot export to {_name(args.output)}: {error.strerror}") from error
    for fault in _faults(summary.closing):
        print(f"rubicon: {_name(path)}: {printable(fault)}", file=sys.stderr)
    return EXIT_OK


def _where(text: str) -> Where:
    try:
        return compile_where(text)
    except WhereError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def export(
    trace: RecordedTrace, out: TextIO, *, only_violations: bool, where: Where | None = None
) -> Summary:
    """The summary at the end counts what passed `where`; losses and faults are those of the whole trace."""

    def closing() -> Closing:
        return Closing(trace.losses, _damage(trace), trace.unjudged, trace.bad_records)

    facts = session_facts(trace.session)
    items = (item for item in trace.items() if where(*item)) if where else trace.items()
    return write_jsonl(
        items,
        facts,
        out,
        only_violations=only_violations,
        closing=closing,
        taken=trace.take_actions,
    )


def _damage(trace: RecordedTrace) -> str:
    if trace.damage:
        return trace.damage.message
    return "" if trace.ended else "no end record: the session was cut off, or it still runs"


def _faults(closing: Closing) -> Iterator[str]:
    if closing.damage:
        yield closing.damage
    if closing.unjudged:
        yield f"events not judged by any rule: {closing.unjudged}"
    if closing.bad_records:
        yield f"records that cannot be read: {closing.bad_records}"


def _refuse_to_overwrite(trace: Path, output: Path | None) -> None:
    if output is not None and output.exists() and output.samefile(trace):
        raise UsageError(f"{_name(output)} is the trace itself")


@contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    """Stdout, or a file only its owner can read: arguments and paths may be secrets."""
    if path is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    with open(path, "w", encoding="ascii", opener=_private) as file:
        yield file


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _name(path: Path | None) -> str:
    return "stdout" if path is None else printable(str(path))
