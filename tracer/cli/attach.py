"""`rubicon attach TARGET...`: watch what already runs."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from tracer.cli import armour, privileges
from tracer.cli.loading import Loading, add_options
from tracer.cli.screen import Screen, has_terminal, start_screen
from tracer.errors import UsageError
from tracer.targets import KINDS, Target, parse_target
from tracer.targets.selection import Selection

if TYPE_CHECKING:
    from tracer.cli.live import Live

_POLL_SECONDS = 0.2  # how late the end of a target or of the screen may be noticed
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "attach",
        help="watch what already runs",
        description="Watch processes, cgroups or containers that run already, with all that is in them, "
        "until they end or you quit. On a terminal the screen opens.",
    )
    parser.add_argument("targets", metavar="TARGET", nargs="*", help=", ".join(KINDS))
    parser.add_argument("--all-containers", action="store_true", help="each that runs, and each that starts")
    parser.add_argument(
        "--label",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        type=_label,
        help="containers that have it, and those that will; may be given again: all are wanted",
    )
    add_options(parser)
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--tui", action="store_true", help="the default on a terminal")
    shown.add_argument("--no-tui", action="store_true", help="violations as lines on stderr")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    if args.tui and not has_terminal():
        raise UsageError("--tui needs a terminal")
    targets = [target for word in args.targets for target in parse_target(word)]
    selection = Selection(args.all_containers, tuple(args.label))
    if not targets and not selection.wanted:
        raise UsageError("nothing to attach to: name a TARGET, --label KEY=VALUE or --all-containers")
    loading = Loading(args.loader, guarding=args.enforce)
    from tracer.cli.live import Live, verdict_status  # meanwhile: this brings in all that reads rules

    with _signals() as ended, Live(args, loading, [*args.targets, *selection.words()]) as live:
        armour.put_on()
        privileges.keep_as_engine(enforcing=args.enforce)
        _watch(live, targets, selection, ended, tui=not args.no_tui and has_terminal())
        outcome = live.finish()
    return verdict_status(outcome, args.fail_on)


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError("give it as KEY=VALUE")
    return key, value


def _watch(
    live: Live, targets: list[Target], selection: Selection, ended: threading.Event, *, tui: bool
) -> None:
    joined = sum(live.session.watch(target) for target in targets)
    runtimes = live.session.follow(selection) if selection.wanted else ()
    live.session.start()
    screen = start_screen(live.trace) if tui else None
    live.voice.quiet = screen is not None
    if screen is None:
        names = ", ".join(dict.fromkeys([*(target.name for target in targets), *selection.words()]))
        told_by = f", as told by {', '.join(runtimes) or 'no runtime'}" if selection.wanted else ""
        live.voice.notice(f"watching {names}{told_by}: {joined} processes (interrupt to stop)")
    try:
        lasting = selection.wanted or any(target.cgroup_id or target.called for target in targets)
        _await_end(live, screen, ended, lasting=lasting)
    finally:
        if screen:
            screen.close()
        live.voice.quiet = False


def _await_end(live: Live, screen: Screen | None, ended: threading.Event, *, lasting: bool) -> None:
    """Until the user quits, or nothing is left to watch. A screen that crashed is not the end.

    `lasting`: something may still start, or be moved into a cgroup.
    """
    told = False
    while not (ended.wait(_POLL_SECONDS) or live.session.failed()):
        if screen is not None and (status := screen.ended()) is not None:
            if status == 0:
                return
            screen, live.voice.quiet = None, False
            live.voice.notice(f"the screen ended with status {status}: watching on (interrupt to stop)")
        if not lasting and live.session.is_empty():
            if screen is None:
                return
            if not told:
                told = True
                live.session.notice("ended", "all that was watched has ended; q closes the screen")


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """Set by the signals that end programs, until all is closed; what was ignored (nohup) stays so."""
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    heeded = [each for each in _ENDING if signal.getsignal(each) is not signal.SIG_IGN]
    before = {number: signal.signal(number, end) for number in heeded}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
