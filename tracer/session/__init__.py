"""A live session: the one place where source, trace, pipeline and rules are wired together.

    source -> drain (a thread) -> Writer -> trace file -> judge (a thread) -> violations

- `watched` has targets join, each as a scope of its own.
- `drain` copies what the probes hand over into the trace and does nothing else, so that judging may fall
  behind while nothing is lost.
- `judge` follows the trace as any reader does, and appends what broke a rule.
- `rules` are what it judges by, which may be changed meanwhile.
- `scopes` knows who is in which scope, and what it is called.
- `guard` has connections refused that a policy does not allow.
- `steps` takes in what the agent says of its steps.
- `enforce` does what a rule wants done about a violation, or a person by the control socket.
- `processors` (a thread) looks who keeps processors busy.
- `resolver` (a thread, when a policy allows domains by name) asks where they are, and has that recorded.
- `anchor` (a thread, when it is asked for) hands the heads of the trace's chain to a command.
- `following` (a thread for each runtime, with `--label` or `--all-containers`) has those watched that start.
- `outbox` keeps what these have to say until the next block is written.
- `record` makes the records with which a trace begins, `outcome` is what it came to.

Imported by `tracer.cli`. Nothing here prints: what is to be said is handed to the callbacks of `Session`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tracer.actions import kept as kept_file
from tracer.capture import ReadOf, Source
from tracer.control import Peer, Server, control_path, not_ours
from tracer.errors import CaptureError
from tracer.events import Action, Event, Level, Response, Violation
from tracer.rules import RuleSet
from tracer.session.anchor import Anchor
from tracer.session.commands import Commands, PolicyFile
from tracer.session.drain import Drain
from tracer.session.enforce import Enforcer
from tracer.session.guard import Egress, guard_paths, guarded_egress
from tracer.session.judge import Judging
from tracer.session.outbox import Outbox
from tracer.session.outcome import Callbacks, Outcome
from tracer.session.processors import Processors
from tracer.session.record import engine_facts
from tracer.session.resolver import Resolver
from tracer.session.rules import Load, Rules
from tracer.session.scopes import Scopes
from tracer.session.steps import Steps
from tracer.session.watched import Watched
from tracer.targets import Target
from tracer.targets.processes import sees_all_pids
from tracer.targets.selection import Selection
from tracer.trace import MEMORY_LIMIT_BYTES, Rotation, Rotator, Sealer, SigningKey, Writer, WriterState

if TYPE_CHECKING:
    from tracer.session.following import Following

__all__ = ["Callbacks", "OnScope", "Outcome", "Session"]

_STATES = {
    WriterState.OK: "the disk has room again: the trace is whole",
    WriterState.MEMORY: "the disk is full: capture goes on in memory",
    WriterState.DROPPING: "the disk is full and so is the memory kept for it: events are dropped and counted",
}


@dataclass(slots=True)
class _Tally:
    actions: Counter[Action] = field(default_factory=Counter)
    violations: Counter[Level] = field(default_factory=Counter)


class Session:
    """From the first record to the end record. `first` is the session record and whatever follows it.

    `key` seals the trace; `anchor` is a command that gets the heads of its chain.
    `enforce`: what rules want done about violations is done, and not only told. `kept` is where it is written
    down that something is frozen; by default beside the trace. `policy` is the file that a person may add to,
    `load` reads the rules again.
    `rotation` says when the trace goes on in another file.

    A context manager: `start` on entry is explicit, `stop` on exit is certain.

    The source is closed by `stop`; when the session cannot be made, by who made the source.
    """

    def __init__(
        self,
        source: Source,
        trace: Path,
        rules: RuleSet,
        first: Sequence[Mapping[str, Any]],
        callbacks: Callbacks,
        *,
        key: SigningKey | None = None,
        anchor: str = "",
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
        enforce: bool = False,
        kept: Path | None = None,
        policy: PolicyFile | None = None,
        load: Load | None = None,
        rotation: Rotation = Rotation(),  # noqa: B008  frozen
    ) -> None:
        self._source = source
        self._scopes = Scopes(source)
        self._callbacks = callbacks
        self._tally = _Tally()
        self._outcome: Outcome | None = None
        self._error: BaseException | None = None
        self._outbox = Outbox(keeps=rotation.wanted)
        self._watched = Watched(source, self._scopes, self._outbox.add)
        self._following: Following | None = None
        self._wake: Callable[[], object] = lambda: None
        self._anchor = self._make_anchor(anchor, first[0]) if anchor else None
        rotator = Rotator(trace, rotation) if rotation.wanted else None
        self._writer = Writer(
            trace,
            sealer=Sealer(key, on_seal=self._sealed) if key else None,
            rotator=rotator,
            memory_limit_bytes=memory_limit_bytes,
            on_append=self._appended,
            on_state=self._writer_changed,
        )
        self._tell_reads(rules)
        self._control: Server | None = None
        self._steps: Steps | None = None
        self._enforcer = Enforcer(
            self._scopes,
            kept or trace.with_name(trace.name + kept_file.SUFFIX),
            self._outbox.add,
            callbacks.on_action,
            enforce=enforce,
            boot_offset_ns=int(first[0].get("boot_offset_ns") or 0),
        )
        self._live_rules = Rules(
            rules, load, self._outbox.add, prepare=self._prepare, tell=self._rules_changed, fixed=enforce
        )
        try:
            facts = engine_facts(source, trace, rules, renamed=rotation.keep > 0)
            session = {**first[0], "engine": facts}
            self._writer.append([session, *first[1:]])
            if rotation.wanted:
                self._outbox.keep(first[1:])
            self._judging = Judging(
                self._writer,
                self._live_rules.judge,
                session,
                self._outbox,
                self._count,
                learn_rules=self._live_rules.learn,
                react=self._enforcer.react,
                heard=self._heard if enforce else None,
                on_error=self._failed,
            )
        except BaseException:
            self._writer.close()
            raise
        self._wake = self._judging.wake
        if rotator:
            rotator.about = lambda: (session, self._outbox.lasting())
            rotator.read_to = lambda: self._judging.next_block
        self._drain = Drain(source, self._writer, self._outbox, on_error=self._failed)
        self._resolver = Resolver(rules.domains, self._learn_name)
        self._processors = Processors(source.members, self._outbox.add)
        self._rules = rules
        self._enforce = enforce
        self._policy = policy
        self._egress: Egress | None = None

    def _make_anchor(self, command: str, session: Mapping[str, Any]) -> Anchor:
        return Anchor(
            command,
            session["id"],
            on_result=self._outbox.add,
            on_notice=lambda message: self.notice("anchor", message),
        )

    def _sealed(self, seal: Mapping[str, Any]) -> None:
        if self._anchor:
            self._anchor.put(seal)

    def watch(self, target: Target, *, silent: bool = False, folder: Path | None = None) -> int:
        """Add a target, a scope of its own; the number of processes in it. `folder` is a cgroup that holds
        nobody else.

        Raises TargetError when it has gone meanwhile.
        """
        return self._watched.watch(target, silent=silent, folder=folder)

    def follow(self, selection: Selection) -> Sequence[str]:
        """Watch containers that run now and those that will; the runtimes that are asked for their names."""
        from tracer.session.following import Following  # with it all that speaks to runtimes

        self._following = Following(
            self._source,
            selection,
            add=self._outbox.add,
            watch=self._watched.watch,
            scopes=self._watched.numbers,
            named=self._scopes,
            notice=self.notice,
        )
        self._following.start()
        return self._following.runtimes

    def start(self) -> None:
        """Begin to drain and to judge. Raises UsageError or KernelError when the policy wants connections
        refused and they cannot be."""
        if self._anchor:
            self._anchor.start()
        if self._enforce:
            self._enforcer.cannot_refuse = guard_paths(self._rules, self._source.guard, self.notice)
            self._egress = guarded_egress(self._rules, self._source.guard, self.notice)
        self._drain.start()
        self._judging.start()
        self._open_control()
        self._open_steps()
        if sees_all_pids():
            self._processors.start()
        if self._rules.domains and not self._resolver.start():
            self.notice(
                "names", "no answer yet for the domains of the policy: connections there may be reported"
            )

    def _tell_reads(self, rules: RuleSet) -> None:
        self._source.tell_reads({name: ReadOf(what) for name, what in rules.reads.items()})

    def _prepare(self, rules: RuleSet) -> None:
        """What the new rules need, before they are in force. Raises CaptureError."""
        self._tell_reads(rules)
        self._resolver.look_for(rules.domains)

    def _rules_changed(self, message: str, by: str) -> None:
        self._enforcer.note(Response.ALERT, message, by)

    def _learn_name(self, record: Mapping[str, Any]) -> None:
        self._outbox.add(record)
        if self._egress:
            self._egress.learn(record)

    def _heard(self, event: Event) -> None:
        if self._egress:
            self._egress.heard(event)

    def _open_control(self) -> None:
        commands = Commands(self._enforcer, self.watches, self._source.guard, self._egress, self._policy)
        try:
            self._control = Server(
                control_path(self._writer.path),
                commands.table() | self._live_rules.table(),
                self._objection,
                self._command_refused,
            )
            self._control.start()
        except OSError as error:
            self.notice("control", f"no control socket beside the trace, so no commands: {error.strerror}")

    def _open_steps(self) -> None:
        try:
            self._steps = Steps(self._writer.path, self._outbox.add)
        except OSError as error:
            self.notice("steps", f"no socket beside the trace to tell steps at: {error.strerror}")

    def _objection(self, peer: Peer) -> str:
        """Why somebody at the control socket has no say here."""
        return not_ours(peer) or ("it is watched by this session" if self.watches(peer.pid) else "")

    def _command_refused(self, command: str, peer: Peer, why: str) -> None:
        self._enforcer.refused(command, str(peer), why)

    def let_end(self) -> None:
        """Somebody wants all of it to end: what is frozen could not."""
        if self._enforcer.is_frozen:
            self._enforcer.command(Response.THAW, "the request to end")

    def is_empty(self) -> bool:
        """Whether nobody is watched any more."""
        return not list(self._source.members())

    def watches(self, pid: int) -> bool:
        """Whether the process is watched; false where pids here are not those of the kernel's records."""
        return self._watched.watches(pid)

    def failed(self) -> bool:
        """Whether a thread has ended by an error; `stop` raises it."""
        return bool(self._drain.error or self._judging.error)

    def _failed(self, what: str, error: BaseException) -> None:
        self.notice("failed", f"{what} has failed, what follows is not a full account: {error!r}")

    def _appended(self) -> None:
        self._wake()

    def _writer_changed(self, state: WriterState) -> None:
        self.notice(f"disk-{state.value}", _STATES[state])

    def notice(self, code: str, message: str) -> None:
        """Say something to the user and in the trace."""
        self._outbox.add({"type": "notice", "code": code, "message": message})
        with suppress(Exception):
            self._callbacks.on_notice(message)

    def stop(self) -> Outcome:
        """Drain and judge what is there, write the end record, and close the trace and the source.

        Raises CaptureError when something had failed, now or before; all is closed then, too, but the trace
        has no end record. Asked again it answers the same.
        """
        if self._outcome is None:
            self._outcome = self._wind_up()
        if self._error is not None:
            raise CaptureError(f"the session failed: {self._error!r}") from self._error
        return self._outcome

    def _wind_up(self) -> Outcome:
        """Every step is taken, whatever became of those before it."""
        left: list[int] = []
        if self._following:
            self._following.stop()
        self._resolver.stop()
        self._processors.stop()
        for server in (self._control, self._steps):
            if server:
                server.close()
        with self._keeping_error():
            self._enforcer.close()
        with self._keeping_error():
            left = list(self._source.members())
        with self._keeping_error():
            self._source.detach()
        with self._keeping_error():
            self._drain.stop()
        with self._keeping_error():
            self._judging.stop()
        outcome = self._outcome_now(len(left))
        with self._keeping_error():
            outcome = replace(outcome, written=self._close_trace(outcome))
        with self._keeping_error():
            self._source.close()
        if self._anchor:
            self._anchor.stop()
        return outcome

    @contextmanager
    def _keeping_error(self) -> Iterator[None]:
        """The first error is the one to tell; those of the threads come first of all."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  `stop` raises it when everything is closed
            self._error = self._error or error
        self._error = self._drain.error or self._judging.error or self._error

    def _outcome_now(self, left: int) -> Outcome:
        lost_critical, lost_bulk = self._judging.lost
        return Outcome(
            actions=dict(self._tally.actions),
            violations=dict(self._tally.violations),
            losses={
                "critical": max(lost_critical, self._drain.lost_critical),
                "bulk": max(lost_bulk, self._drain.lost_bulk),
            },
            unjudged=self._judging.unjudged,
            bad_records=self._judging.bad_records,
            left=left,
        )

    def _close_trace(self, outcome: Outcome) -> bool:
        """Whether all of it is on disk. A session that failed gets no end: its trace must not look whole."""
        try:
            while records := self._outbox.take():
                self._writer.append(records)
            if self._error is None:
                self._writer.append([self._end_record(outcome)])
        finally:
            written = self._writer.close()
        if not written:
            with suppress(Exception):
                self._callbacks.on_notice("the trace is not complete: not all of it could be written to disk")
        return written

    def _end_record(self, outcome: Outcome) -> dict[str, Any]:
        return {
            "type": "end",
            "end_ns": time.time_ns(),
            "events": outcome.events,
            "violations": sum(outcome.violations.values()),
            "losses": dict(outcome.losses),
            "losses_by_reason": self._drain.losses,
            "unjudged": outcome.unjudged,
            "bad_records": outcome.bad_records,
            "left": outcome.left,
            "engine": self._drain.usage,
        }

    def _count(self, actions: Counter[Action], violations: Sequence[Violation]) -> None:
        self._tally.actions.update(actions)
        self._tally.violations.update(violation.rule.level for violation in violations)
        if violations:
            self._callbacks.on_violations(violations)
            self._enforcer.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.stop()
            return
        with suppress(CaptureError):  # the first error is the one to tell
            self.stop()
