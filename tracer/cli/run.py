"""`rubicon run -- CMD`: start a command watched. The terminal stays the command's."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tracer.cli.live import Live, add_options, verdict_status
from tracer.targets import Target
from tracer.targets.cgroups import Leaf
from tracer.targets.command import Command, find_program

_POLL_SECONDS = 0.2  # how late the end of what the command left running may be noticed


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "run",
        help="start a command watched",
        usage="rubicon run [options] -- CMD [ARG...]",
        description="Start CMD and watch it and all that it starts. Exits as CMD did, and not before what it "
        "left running has ended (interrupt to stop watching).",
    )
    add_options(parser)
    parser.add_argument("--no-tui", action="store_true", help="the default: violations as lines on stderr")
    parser.add_argument("--no-wait", action="store_true", help="stop watching when CMD itself has ended")
    parser.add_argument(
        "command", metavar="CMD", nargs=argparse.REMAINDER, help="the command and its arguments"
    )
    parser.set_defaults(handler=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """The exit status of the command, or what --fail-on makes of the session."""
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        args.parser.error("no command: give one after --")
    find_program(command[0], os.environ)  # a command that is not there is told before anything is set up
    with Live(args, ["run"], command) as live:
        child = Command(command, os.environ)
        leaf = Leaf.make(live.session_id)
        try:
            status = _watch(live, child, leaf, wait=not args.no_wait)
        finally:
            if leaf:
                leaf.close()
        outcome = live.finish()
    return verdict_status(outcome, args.fail_on) or status


def _watch(live: Live, child: Command, leaf: Leaf | None, *, wait: bool) -> int:
    """Let the command run to its end, and what it left running to its own."""
    try:
        live.session.watch(Target("run", pid=child.pid), silent=True)
        if leaf:
            leaf.add(child.pid)
    except BaseException:
        child.give_up()
        raise
    interrupted = threading.Event()
    with _signals(child, interrupted):
        live.session.start()
        child.let_go()
        status = child.wait()
        if wait:
            _await_the_rest(live, interrupted)
    return status


def _await_the_rest(live: Live, interrupted: threading.Event) -> None:
    told = False
    while not (live.session.is_empty() or live.session.failed() or interrupted.wait(_POLL_SECONDS)):
        if not told:
            told = True
            live.voice.notice(
                "the command has ended, what it started still runs: watching on (interrupt to stop)"
            )


@contextmanager
def _signals(child: Command, interrupted: threading.Event) -> Iterator[None]:
    """While the command runs, an interrupt of the terminal is for it (it is in the same process group), and
    a request to end is handed on to it; after that both end the watch.
    """

    def on_terminal(_number: int, _frame: FrameType | None) -> None:
        if child.ended:
            interrupted.set()

    def on_request(number: int, _frame: FrameType | None) -> None:
        child.signal(number)
        if child.ended:
            interrupted.set()

    handlers = {
        signal.SIGINT: on_terminal,
        signal.SIGQUIT: on_terminal,
        signal.SIGTERM: on_request,
        signal.SIGHUP: on_request,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
