"""The command line: one file a command, each with `register(subparsers)` and `run(args) -> exit status`.

Top of the flow: everything below may be imported here, and nothing imports this. Only the module of the
command that was asked for is imported, so that a command pays for what it uses; only `screen` knows the TUI.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import io
import os
import select
import sys
from collections.abc import Sequence

from tracer import __version__
from tracer.errors import EXIT_FAILED, EXIT_OK, RubiconError
from tracer.text import printable

COMMANDS = (
    "run",
    "attach",
    "targets",
    "watch",
    "sessions",
    "freeze",
    "thaw",
    "kill",
    "replay",
    "export",
    "query",
    "diff",
    "steps",
    "correlate",
    "report",
    "mark",
    "hook",
    "publish",
    "rules",
    "policy",
    "learn",
    "verify",
    "keys",
    "doctor",
)
# Events are made by the million and refer to each other in no rings: with Python's own numbers (700, 10, 10)
# looking for some took up to a third of the time of judging.
_COLLECTOR = (50_000, 20, 50)
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell has it


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status (tracer.errors); no exception leaves but SystemExit."""
    _take_standard_numbers()
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except RubiconError as error:
        _say(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001  the last resort: a line instead of a traceback
        if isinstance(error, BrokenPipeError) and _stdout_is_gone():
            _drop_stdout()
            return EXIT_OK
        return _internal_error(error)


def _take_standard_numbers() -> None:
    """Where the caller closed 0, 1 or 2, no file of ours may get that number: a trace would take in what some
    library says on stderr. They stay closed for a command that is started."""
    while (descriptor := os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)) <= 2:
        pass
    os.close(descriptor)


def _run(argv: Sequence[str]) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal may lack a character; that is no reason to end
        sys.stdout.reconfigure(errors="backslashreplace")
    gc.set_threshold(*_COLLECTOR)
    try:
        args = build_parser(argv).parse_args(argv)
        status: int = args.handler(args)
    finally:
        _flush_stdout()
    return status


class _Help(argparse.HelpFormatter):
    """argparse forgets the second indent of commands: the longest would have its help on the line below."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog)
        self._action_max_length = 4 + max(map(len, COMMANDS))


def build_parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The parser with the one command that `argv` names, or with all when it names none (help, mistakes)."""
    parser = argparse.ArgumentParser(
        prog="rubicon",
        description="Watches what a sandboxed agent does, at the kernel, and says when it crosses the line.",
        epilog="Exit status: 0 done, 1 Rubicon failed, 2 bad usage or input, 3 a violation (--fail-on), "
        "4 losses make a clean verdict impossible (--fail-on); `run` otherwise exits as its command did.",
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"rubicon {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in _needed(argv[0] if argv else ""):
        importlib.import_module(f"tracer.cli.{name}").register(subparsers)
    return parser


def _needed(first: str) -> Sequence[str]:
    if first == "--version":
        return ()
    return (first,) if first in COMMANDS else COMMANDS


def _say(message: str) -> None:
    """Every line on its own, marked as ours and harmless on a terminal."""
    for line in message.splitlines():
        print(f"rubicon: {_shown(line)}", file=sys.stderr)


def _shown(line: str) -> str:
    """Messages were made printable where they were raised; this catches what slipped through."""
    return line if line.isprintable() else printable(line)


def _internal_error(error: Exception) -> int:
    import traceback

    if os.environ.get("RUBICON_DEBUG") == "1":
        traceback.print_exception(error)
        where = "traceback above"
    else:
        where = "RUBICON_DEBUG=1 shows the traceback"
    summary = traceback.format_exception_only(error)[-1].strip().replace("\n", " ")
    _say(f"internal error: {summary} ({where})")
    return EXIT_FAILED


def _flush_stdout() -> None:
    """Write what is buffered while an error can still be told; Python does it at exit, with a traceback."""
    if sys.stdout is None:  # closed by the caller: >&-
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _drop_stdout()
        raise RubiconError(f"cannot write to stdout: {error.strerror}") from error


def _stdout_is_gone() -> bool:
    """True when nobody reads stdout any more, as in `rubicon export ... | head`."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def _drop_stdout() -> None:
    """What is still buffered goes nowhere; at exit Python would complain that it cannot be written."""
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
