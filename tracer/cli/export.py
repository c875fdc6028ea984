"""`rubicon export TRACE --format F`: a trace in a form that other programs read."""

from __future__ import annotations

import argparse
import io
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from tracer.cli.progress import shown_progress
from tracer.cli.relay import LINGER_SECONDS
from tracer.cli.remote import find
from tracer.errors import EXIT_FAILED, EXIT_OK, RubiconError, UsageError
from tracer.export import Closing, Documents, session_facts
from tracer.export.formats import FORMATS, Into, file_writer, stream_writer
from tracer.export.recorded import Selection, Source, documents_of, faults
from tracer.files import private
from tracer.pipeline import open_trace
from tracer.text import printable
from tracer.where import Where, WhereError

if TYPE_CHECKING:
    from tracer.export.following import FollowedTrace

_AS_IT_COMES = ("jsonl", "ocsf", "csv", "cef", "otlp")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SINCE_START = re.compile(r"\+(\d+(?:\.\d+)?)([smhd])")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "export",
        help="a trace in a form other programs read",
        description="Write the events and violations of a trace to stdout, a file, or a collector.",
        epilog="\n".join(["formats:", *(f"  {name:<18}{form.about}" for name, form in FORMATS.items())]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("trace", metavar="TRACE", help="a trace file or the id of a session")
    parser.add_argument("--format", required=True, choices=FORMATS, metavar="F", help="one of those below")
    parser.add_argument(
        "-o", "--output", metavar="OUT", help="a file (default: stdout); with otlp, or the URL of a collector"
    )
    add_selection(parser)
    parser.add_argument(
        "--follow",
        action="store_true",
        help="go on while the session lives: what happens is written, or sent, as it comes",
    )
    parser.add_argument("--only", choices=("violations",), help="leave out everything else")
    parser.set_defaults(handler=run)


def add_selection(parser: argparse.ArgumentParser) -> None:
    """The options that say which events, and in what form; read by `selection_of`."""
    parser.add_argument(
        "--where",
        metavar="FILTER",
        type=_where,
        default=Where(),
        help="only events that pass, as in 'exe:curl and dest.port:443 not path:/tmp/*' (see the README)",
    )
    for option, what in (("--since", "at or after"), ("--until", "before")):
        parser.add_argument(
            option,
            metavar="TIME",
            type=_time,
            help=f"only events {what} a time: 2026-01-31T14:00:00Z, or +90s, +5m, +2h from the start",
        )
    parser.add_argument(
        "--redact", action="store_true", help="hide secrets in arguments, URLs and names behind salted hashes"
    )


def run(args: argparse.Namespace) -> int:
    """Export what is intact, and say on stderr when that is not all."""
    path = find(args.trace)
    collector = args.output if args.output and args.output.startswith(("http://", "https://")) else None
    output = Path(args.output) if args.output and not collector else None
    if collector and args.format != "otlp":
        raise UsageError(f"{printable(collector)}: only otlp is sent to a URL")
    if FORMATS[args.format].into is Into.FILE and output is None:
        raise UsageError(f"{args.format} is a file of its own: name it with -o")
    if args.follow:
        return _follow(args, path, output, collector)
    with open_trace(path) as trace:
        refuse_to_overwrite(path, output)
        documents = documents_of(trace, selection_of(args, trace))
        with (
            writing_to(output),
            shown_progress(lambda: trace.progress, to_terminal=output is None and not collector),
        ):
            _write(documents, args.format, output, collector)
    say_faults(path, documents.summary.closing)
    return EXIT_OK


def _follow(args: argparse.Namespace, path: Path, output: Path | None, collector: str | None) -> int:
    """Without a right that is not needed: who is asked to connect elsewhere shall not be root there."""
    from tracer.cli import privileges
    from tracer.export.following import FollowedTrace

    if args.format not in _AS_IT_COMES:
        raise UsageError(f"{args.format} is made at the end: --follow is for {', '.join(_AS_IT_COMES)}")
    refuse_to_overwrite(path, output)
    with ExitStack() as stack:
        out = None if collector else stack.enter_context(written(output))
        trace = stack.enter_context(FollowedTrace(path, idle=out.flush if out else lambda: None))
        with suppress(OSError):
            privileges.keep(())
        stack.enter_context(_ended_by_signals(trace))
        documents = documents_of(trace, selection_of(args, trace))
        if collector:
            return _ship(documents, collector)
        with writing_to(output):
            stream_writer(args.format)(documents, out)  # type: ignore[arg-type]
    return EXIT_OK


def _ship(documents: Documents, collector: str) -> int:
    from tracer.export import otlp

    done = otlp.ship(documents, collector, _say, LINGER_SECONDS)
    lost = f", {done.refused:,} refused, {done.undelivered:,} not delivered" if done.lost else ""
    _say(f"{printable(collector)}: {done.delivered:,} records delivered{lost}")
    return EXIT_FAILED if done.lost else EXIT_OK


@contextmanager
def _ended_by_signals(trace: FollowedTrace) -> Iterator[None]:
    """What is there is still handed on."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: trace.stop()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _say(what: str) -> None:
    print(f"rubicon: {what}", file=sys.stderr, flush=True)


def selection_of(args: argparse.Namespace, trace: Source) -> Selection:
    """What the options of `add_selection` and `--only` ask for."""
    start_ns = session_facts(trace.session).start_ns
    chosen = Selection(args.where, only_violations=args.only == "violations", redact=args.redact)
    if args.since:
        chosen = replace(chosen, since_ns=args.since(start_ns))
    return replace(chosen, until_ns=args.until(start_ns)) if args.until else chosen


def _write(documents: Documents, name: str, output: Path | None, collector: str | None) -> None:
    if collector:
        from tracer.export import otlp

        otlp.send(documents, collector)
    elif FORMATS[name].into is Into.FILE and output is not None:
        with _whole_file(output) as partial:
            file_writer(name)(documents, partial)
    else:
        writer = stream_writer(name)
        with written(output) as out:
            writer(documents, out)


def _where(text: str) -> Where:
    try:
        return Where(text)
    except WhereError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _time(text: str) -> Callable[[int], int]:
    """From the start of a session to the time meant, nanoseconds since the Unix epoch."""
    if after := _SINCE_START.fullmatch(text):
        offset_ns = int(float(after[1]) * _UNITS[after[2]] * 1e9)
        return lambda start_ns: start_ns + offset_ns
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        meant = "a time such as 2026-01-31T14:00:00Z, or one after the start such as +5m"
        raise argparse.ArgumentTypeError(f"{printable(text)!r} is not {meant}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    at_ns = int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1_000
    return lambda _start_ns: at_ns


def say_faults(trace: Path, closing: Closing) -> None:
    for fault in faults(closing):
        print(f"rubicon: {_name(trace)}: {printable(fault)}", file=sys.stderr)


def refuse_to_overwrite(trace: Path, output: Path | None) -> None:
    if output is not None and output.exists() and output.samefile(trace):
        raise UsageError(f"{_name(output)} is the trace itself")


@contextmanager
def writing_to(output: Path | None) -> Iterator[None]:
    """Within, an OSError is told as one of the output. Raises RubiconError."""
    try:
        yield
    except BrokenPipeError:  # the reader has seen enough, as in `rubicon export ... | head`
        raise
    except OSError as error:
        raise RubiconError(f"cannot write {_name(output)}: {error.strerror}") from error


@contextmanager
def written(path: Path | None) -> Iterator[TextIO]:
    """Stdout, or a file only its owner can read: arguments and paths may be secrets. Always UTF-8."""
    if path is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")
        yield sys.stdout
        sys.stdout.flush()
        return
    with open(path, "w", encoding="utf-8", newline="", opener=private) as file:
        yield file


@contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    """A private file beside `path`, which takes its place when it is whole."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    os.close(private(str(partial), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC))
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _name(path: Path | None) -> str:
    return "stdout" if path is None else printable(str(path))
