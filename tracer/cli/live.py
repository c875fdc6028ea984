"""What `run` and `attach` have in common: a session with its voices, and what it comes to."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from itertools import takewhile
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from tracer.actions import kept
from tracer.cli.folding import Folding
from tracer.cli.loading import Loading
from tracer.cli.policies import given_by
from tracer.cli.relay import Relay
from tracer.cli.shared import own_stderr, own_terminal, patient
from tracer.control import STEPS_SUFFIX
from tracer.control import SUFFIX as CONTROL_SUFFIX
from tracer.errors import EXIT_INCOMPLETE, EXIT_OK, EXIT_VIOLATION, RubiconError, TraceError, UsageError
from tracer.events import Level, Result, Taken, Violation
from tracer.export import (
    Closing,
    ProcessDocuments,
    SessionFacts,
    Summary,
    action_document,
    session_facts,
    summary_document,
    violation_document,
)
from tracer.export.jsonl import line_of
from tracer.files import private
from tracer.rules import Given, load_rules, profile_path
from tracer.session import Callbacks, Outcome, Session
from tracer.session.commands import PolicyFile
from tracer.session.record import first_records
from tracer.text import printable
from tracer.trace import Keyring, Reader, Rotation, default_folder, new_session_id, new_trace_path

_COLOURS = {
    Level.CRITICAL: "1;31",
    Level.HIGH: "31",
    Level.MEDIUM: "33",
    Level.LOW: "36",
    Level.INFORMATIONAL: "2",
}


class Voice:
    """Everything a session says to people and programs, from any thread: stderr, and JSON lines.

    `quiet` keeps stderr silent, for while the TUI has the terminal.
    """

    def __init__(self, jsonl: TextIO | None, facts: SessionFacts, stderr: TextIO) -> None:
        self.quiet = False
        self._jsonl = jsonl
        self._facts = facts
        self._stderr = stderr
        self._terminal = own_terminal(self._stderr)
        self._coloured = self._stderr.isatty() and "NO_COLOR" not in os.environ
        self._lock = threading.Lock()
        self._processes = ProcessDocuments()
        self._folding = Folding()

    def violations(self, violations: Sequence[Violation]) -> None:
        for violation in violations:
            if not self.quiet:
                for each, repeated in self._folding.take(violation):
                    self._tell(each, repeated)
            if self._jsonl is not None:
                self._write(line_of(violation_document(violation, self._facts, self._processes)))

    def action(self, taken: Taken) -> None:
        self._say(f"rubicon: {describe_action(taken, coloured=self._coloured)}")
        if self._jsonl is not None:
            self._write(line_of(action_document(taken, self._facts)))

    def notice(self, message: str) -> None:
        self._say(f"rubicon: {printable(message)}")

    def closing(self, outcome: Outcome, trace: Path) -> None:
        """The last words: a line for people, the summary object for programs."""
        for violation, repeated in self._folding.rest():
            self._tell(violation, repeated)
        found = sum(outcome.violations.values())
        lost = sum(outcome.losses.values())
        self._say(
            f"rubicon: {outcome.events:,} events, {found:,} violation{'' if found == 1 else 's'}, "
            f"{lost:,} lost{_unjudged(outcome)}; trace {printable(str(trace))}"
        )
        if self._jsonl is not None:
            self._write(line_of(summary_document(_summary(outcome), self._facts)))
        if self._terminal:
            self._terminal.finish()

    def _tell(self, violation: Violation, repeated: int) -> None:
        more = f" ({repeated:,} more)" if repeated else ""
        self._say(f"rubicon: {describe(violation, coloured=self._coloured)}{more}")

    def _say(self, line: str) -> None:
        """A terminal that is gone must not end the watch."""
        if self.quiet:
            return
        if self._terminal:
            self._terminal.say(line)
            return
        with self._lock, suppress(OSError, ValueError):
            print(line, file=self._stderr, flush=True)

    def _write(self, line: str) -> None:
        if self._jsonl is None:
            return
        try:
            self._jsonl.write(line)
            self._jsonl.flush()
        except (OSError, ValueError) as error:
            self._jsonl = None
            self.notice(f"no more JSON lines: {error}")


def describe(violation: Violation, *, coloured: bool = False) -> str:
    """A violation in one line: level, rule, what happened, and the watched processes that led to it."""
    level = violation.rule.level
    label = f"{level.value.upper():<8}"
    if coloured:
        label = f"\x1b[{_COLOURS[level]}m{label}\x1b[0m"
    watched = takewhile(lambda process: process.watched, violation.event.process.lineage())
    lineage = " < ".join(printable(process.name) for process in watched)
    step = f" (step {printable(violation.event.step.id)})" if violation.event.step else ""
    return f"{label} {printable(violation.rule.name)}: {printable(violation.summary)} [{lineage}]{step}"


def describe_action(taken: Taken, *, coloured: bool = False) -> str:
    """An action in one line: what came of it, why, and how long after the act."""
    label = f"{'ACTION' if taken.result is Result.DONE else taken.result.value.upper():<8}"
    if coloured:
        label = f"\x1b[1m{label}\x1b[0m"
    asked_by = taken.rule.name if taken.rule else taken.by
    why = f" ({printable(asked_by)})" if asked_by else ""
    if taken.result is Result.WOULD:
        return f"{label} {printable(taken.message)}{why}: --enforce does it"
    return f"{label} {printable(taken.message)}{why}{_latency(taken)}"


def _latency(taken: Taken) -> str:
    if taken.in_kernel:
        return ", before the call returned"
    if not taken.rule or taken.result is not Result.DONE:
        return ""
    return f", {taken.latency_ns / 1e6:,.1f} ms after the act"


def _unjudged(outcome: Outcome) -> str:
    words = ((outcome.unjudged, "not judged"), (outcome.bad_records, "unreadable"))
    return "".join(f", {count:,} {word}" for count, word in words if count)


def _summary(outcome: Outcome) -> Summary:
    damage = "" if outcome.written else "not all of it could be written to disk"
    summary = Summary(closing=Closing(outcome.losses, damage, outcome.unjudged, outcome.bad_records))
    summary.actions.update({action.value: count for action, count in outcome.actions.items()})
    summary.violations.update({level.value: count for level, count in outcome.violations.items()})
    return summary


class Live:
    """A session from its options to its end: probes, rules, trace and voice. A context manager.

    What is wrong with the user's files is told first; no target has been touched then, and nothing written.
    Raises what those raise. A session that cannot begin leaves no more than a trace with its first records.
    """

    def __init__(
        self,
        args: argparse.Namespace,
        loading: Loading,
        targets: Sequence[str],
        command: Sequence[str] = (),
    ) -> None:
        self.session_id = new_session_id()
        with ExitStack() as undo:
            undo.callback(loading.discard)
            given = given_by(args)
            load = partial(load_rules, args.policy, args.rules, given=given)
            rules = load()
            key = Keyring().own()
            source = loading.result()
            first = first_records(self.session_id, source, rules, targets, command, key=key.public)
            jsonl = undo.enter_context(open_jsonl(args.jsonl)) if args.jsonl else None
            self.trace: Path = args.trace or new_trace_path(self.session_id)
            self.voice = Voice(jsonl, session_facts(first[0]), own_stderr())
            callbacks = Callbacks(self.voice.violations, self.voice.notice, self.voice.action)
            self.session = Session(
                source,
                self.trace,
                rules,
                first,
                callbacks,
                key=key,
                anchor=args.anchor,
                rotation=Rotation(args.rotate_size, args.rotate_age, args.rotate_keep),
                enforce=args.enforce,
                kept=default_folder() / f"{self.session_id}{kept.SUFFIX}",
                policy=_policy_file(args.policy, given),
                load=load,
            )
            undo.pop_all()  # from here on `__exit__` closes what was opened
        self._jsonl = jsonl
        self._relays = [Relay(words, self._relayed) for words in _relayed_by(args, self.trace)]
        self._thaw_abandoned()
        _remove_abandoned_sockets(default_folder())

    def _thaw_abandoned(self) -> None:
        """What a session that was killed had frozen goes on."""
        for path in kept.abandoned(default_folder()):
            session = path.name.removesuffix(kept.SUFFIX)
            with suppress(OSError):
                if count := kept.thaw_abandoned(path):
                    self.session.notice(
                        "thawed", f"thawed what session {session} left frozen: {count} in all"
                    )

    def finish(self) -> Outcome:
        """End the session and say what it came to."""
        outcome = self.session.stop()
        for relay in self._relays:
            relay.finish()
        self.voice.closing(outcome, self.trace)
        return outcome

    def _relayed(self, words: str) -> None:
        self.session.notice("relay", words)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.session.__exit__(kind, error, trace)
        finally:
            for relay in self._relays:
                relay.close()
            if self._jsonl is not None:
                with suppress(OSError):  # told when it was written
                    self._jsonl.close()


def _relayed_by(args: argparse.Namespace, trace: Path) -> Iterator[list[str]]:
    """The commands that hand the trace on."""
    if args.otlp:
        yield ["export", str(trace), "--follow", "--format", "otlp", "-o", args.otlp]
    if args.nats:
        yield ["publish", str(trace), args.nats]


def _policy_file(name: str | None, given: Given) -> PolicyFile | None:
    """None for a profile: that is not the user's to change."""
    if name is None or profile_path(name) is not None:
        return None
    return PolicyFile(Path(os.path.abspath(name)), given)


def _remove_abandoned_sockets(folder: Path) -> None:
    """Of engines that were killed. One whose trace is gone stays: its engine may live."""
    for path in (*folder.glob(f"*{CONTROL_SUFFIX}"), *folder.glob(f"*{STEPS_SUFFIX}")):
        with suppress(TraceError, OSError), Reader(path.with_suffix("")) as trace:
            if path.is_socket() and not trace.is_live():
                path.unlink()


def open_jsonl(name: str) -> TextIO:
    """A file, or stdout ("-"). Raises RubiconError when it cannot be written."""
    if name == "-":
        if sys.stdout is None:
            raise UsageError("--jsonl -: stdout is closed")
        return patient(sys.stdout.fileno())
    try:
        return open(name, "w", encoding="ascii", opener=private)
    except OSError as error:
        raise RubiconError(f"cannot write {printable(name)}: {error.strerror}") from error


def verdict_status(outcome: Outcome, fail_on: Level | None) -> int:
    """What --fail-on makes of a session; EXIT_OK when it has nothing to say."""
    if fail_on is None:
        return EXIT_OK
    worst = outcome.worst()
    if worst is not None and worst.rank >= fail_on.rank:
        return EXIT_VIOLATION
    return EXIT_OK if outcome.complete else EXIT_INCOMPLETE
