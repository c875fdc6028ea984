"""`rubicon run -- CMD`: start a command watched. The terminal stays the command's."""

from __future__ import annotations

import argparse
import os
import signal
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tracer.cli import armour, privileges
from tracer.cli.loading import Loading, add_options
from tracer.cli.pane import Pane
from tracer.cli.screen import has_terminal
from tracer.errors import UsageError
from tracer.targets import Target
from tracer.targets.cgroups import Leaf
from tracer.targets.command import Command, find_program

if TYPE_CHECKING:
    from tracer.cli.live import Live

_POLL_SECONDS = 0.2  # how late the end of what the command left running may be noticed
_ENDING = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP})
_REQUESTS = frozenset({signal.SIGTERM, signal.SIGHUP})
_SI_KERNEL = 0x80  # include/uapi/asm-generic/siginfo.h: sent by the kernel, as for a key of the terminal


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "run",
        help="start a command watched",
        usage="rubicon run [options] -- CMD [ARG...]",
        description="Start CMD and watch it and all that it starts. Exits as CMD did, and not before what it "
        "left running has ended (interrupt to stop watching).",
    )
    add_options(parser)
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--tui", action="store_true", help="the screen, with the command's terminal in a pane")
    shown.add_argument("--no-tui", action="store_true", help="the default: violations as lines on stderr")
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
    if args.tui and not has_terminal():
        raise UsageError("--tui needs a terminal")
    find_program(command[0], os.environ)  # a command that is not there is told before anything is set up
    loading = Loading(args.loader, guarding=args.enforce)
    from tracer.cli.live import Live, verdict_status  # meanwhile: this brings in all that reads rules
    from tracer.control import steps_path
    from tracer.marking import ENVIRONMENT as STEPS_VARIABLE

    with Live(args, loading, ["run"], command) as live, ExitStack() as shown:
        pane = shown.enter_context(Pane()) if args.tui else None
        environment = {**os.environ, STEPS_VARIABLE: os.path.abspath(steps_path(live.trace))}
        # Before all that would be handed on: blocked signals, armour.
        child = Command(command, environment, terminal=pane.inner if pane else None)
        armour.put_on()
        privileges.keep_as_engine(enforcing=args.enforce)
        with Signals() as signals:
            status = _watch(live, child, signals, pane, wait=not args.no_wait)
            shown.close()
            live.voice.quiet = False
            outcome = live.finish()
    return verdict_status(outcome, args.fail_on) or status


class Signals:
    """The signals that end programs, taken one by one instead of interrupting; and the word of a child's end.

    Blocked while this is open, in the threads that are started meanwhile as well. So is SIGTTOU: a command
    may have the terminal for itself (a shell with jobs), and what we say there must not stop us.
    """

    def __init__(self) -> None:
        heeded = {each for each in _ENDING if signal.getsignal(each) is not signal.SIG_IGN}  # as under nohup
        self._taken = heeded | {signal.SIGCHLD}
        self._before: set[int | signal.Signals] = set()

    def next(self, timeout_seconds: float | None = None) -> signal.struct_siginfo | None:
        """Wait for one; None after the timeout."""
        if timeout_seconds is None:
            return signal.sigwaitinfo(self._taken)
        return signal.sigtimedwait(self._taken, timeout_seconds)

    def __enter__(self) -> Self:
        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, self._taken | {signal.SIGTTOU})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What came too late to be heeded does not interrupt what follows."""
        while self.next(0) is not None:
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)


def _watch(live: Live, child: Command, signals: Signals, pane: Pane | None, *, wait: bool) -> int:
    """Let the command run to its end, and what it left running to its own; a screen until it is closed."""
    leaf = Leaf.make(live.session_id)
    try:
        _start(live, child, leaf)
        if pane:
            pane.close_inner()
            pane.show(live.trace)
            live.voice.quiet = True
        child.let_go()
        status, asked_to_end = _await_command(live, child, signals, pane)
        if wait and not asked_to_end:
            _await_the_rest(live, signals, pane)
        if pane and not asked_to_end:
            _await_the_screen(live, signals, pane, status)
    finally:
        if leaf:
            leaf.close()
    return status


def _start(live: Live, child: Command, leaf: Leaf | None) -> None:
    try:
        inside = leaf is not None and leaf.add(child.pid)
        folder = leaf.path if leaf and inside else None
        live.session.watch(Target("run", pid=child.pid), silent=True, folder=folder)
        live.session.start()
    except BaseException:
        child.give_up()
        raise


def _await_command(live: Live, child: Command, signals: Signals, pane: Pane | None) -> tuple[int, bool]:
    """The status of the command, and whether somebody outside asked us to end.

    A key of the terminal reaches the command without us, as it is in the same process group; what is sent to
    us alone is handed on, and where the command has a terminal of its own, so is the end of ours. What the
    command itself sends us is not heeded.
    """
    requested = False
    while (status := child.poll()) is None:
        sent = signals.next()
        if pane:
            pane.gone()
        if sent is not None and _is_for_us(sent, live) and (pane or sent.si_code != _SI_KERNEL):
            child.signal(sent.si_signo)
            if sent.si_signo in _REQUESTS:
                requested = True
                live.session.let_end()
    return status, requested


def _is_for_us(sent: signal.struct_siginfo, live: Live) -> bool:
    return sent.si_signo in _ENDING and not (sent.si_pid and live.session.watches(sent.si_pid))


def _await_the_screen(live: Live, signals: Signals, pane: Pane, status: int) -> None:
    """What was watched is over; who looks at it may go on looking."""
    if not pane.gone():
        live.session.notice("ended", f"the command has ended with status {status}; q closes the screen")
    while not (pane.gone() or live.session.failed()):
        sent = signals.next(_POLL_SECONDS)
        if sent is not None and _is_for_us(sent, live):
            return


def _await_the_rest(live: Live, signals: Signals, pane: Pane | None = None) -> None:
    if _was_asked_meanwhile(live, signals):
        return
    told = False
    while not (live.session.is_empty() or live.session.failed()):
        if not told:
            told = True
            live.voice.notice(
                "the command has ended, what it started still runs: watching on (interrupt to stop)"
            )
        if pane:
            pane.gone()
        sent = signals.next(_POLL_SECONDS)
        if sent is not None and _is_for_us(sent, live):
            return


def _was_asked_meanwhile(live: Live, signals: Signals) -> bool:
    """Take what came while the command ended; a key of the terminal was for the command."""
    asked = False
    while (sent := signals.next(0)) is not None:
        asked = asked or (_is_for_us(sent, live) and sent.si_code != _SI_KERNEL)
    return asked
