"""Violations and commands -> actions: whom, whether, and what came of it, told and kept in the trace."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tracer.actions.freeze import Frozen
from tracer.actions.held import Held
from tracer.actions.kept import Kept
from tracer.actions.kill import kill_process, kill_scope
from tracer.actions.tasks import Task
from tracer.errors import UsageError
from tracer.events import (
    Event,
    Exec,
    File,
    Network,
    NetworkType,
    Outcome,
    Process,
    Response,
    Result,
    Subject,
    Taken,
    Violation,
)
from tracer.rulings import action_record
from tracer.session.scopes import ALL, Scopes
from tracer.targets.processes import sees_all_pids

_REMEMBERED_MAX = 10_000
_Outcome = tuple[Result, str]


class Enforcer:
    """May be asked from any thread. `enforce` false: a violation only tells what would have been done; what a
    person asks for is done either way.

    What a violation brings about concerns the scope it happened in, and no other.
    What was done about a violation is told by `tell`, for the violation itself is to be told first.

    `add` takes context records for the trace, `on_action` what is to be told. `kept` is where it is written
    down that something is frozen.
    """

    def __init__(
        self,
        scopes: Scopes,
        kept: Path,
        add: Callable[[Mapping[str, Any]], object],
        on_action: Callable[[Taken], object],
        *,
        enforce: bool,
        boot_offset_ns: int,
    ) -> None:
        self._scopes = scopes
        self._held = Held(Kept(kept))
        self._add = add
        self._on_action = on_action
        self._untold: list[Taken] = []
        self._enforce = enforce
        self._boot_offset_ns = boot_offset_ns
        self._lock = threading.Lock()
        self._closed = False
        self.cannot_refuse = (
            ""  # why the kernel does not refuse programs and changes to files, if it does not
        )
        self._done: dict[tuple[Response, str, object], None] = {}

    def now_ns(self) -> int:
        """On the clock of the events: it cannot be set while a session runs."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) + self._boot_offset_ns

    def tell(self) -> None:
        """What was done about violations since this was called last. For the thread that calls `react`."""
        while self._untold:
            self._tell(self._untold.pop(0))

    def react(self, violation: Violation) -> None:
        """What the rule wants done, once for each process and rule. Never raises: the judging must go on."""
        response, answer = violation.rule.response, violation.event.answer
        if response is Response.ALERT:
            return
        if answer is not None and self._enforce:
            self._answered(violation, answer)
            if response is not Response.KILL_SCOPE:
                return
        if self._was_done(violation, response):
            return
        if not self._enforce:
            self._report(violation, Result.WOULD, f"would have {_WORDS[response]} {self._whom(violation)}")
            return
        with self._lock:
            self._act(violation, response)

    def _answered(self, violation: Violation, answer: Response) -> None:
        """A probe was there first."""
        process, detail = violation.event.process, violation.event.detail
        message = f"{'refused' if answer is Response.DENY else 'killed'} {_named(process)}"
        if answer is Response.DENY:
            message += _what(detail)
        self._report(violation, Result.DONE, message, response=answer, in_kernel=True)

    def _act(self, violation: Violation, response: Response) -> None:
        try:
            if response is Response.DENY:
                result, message = Result.FAILED, f"was not refused: {self._why_not(violation.event)}"
            else:
                _need_all_pids()
                result, message = self._do(violation.event, response)
        except Exception as error:  # noqa: BLE001  told in the trace
            self._forget(violation, response)
            result, message = Result.FAILED, f"cannot {response.value}: {error}"
        self._report(violation, result, message)

    def _why_not(self, event: Event) -> str:
        """Why the kernel let pass what the policy does not allow."""
        detail = event.detail
        if event.snapshot or (isinstance(detail, File) and detail.inherited):
            return f"it was {'connected' if isinstance(detail, Network) else 'open'} before the attach"
        if isinstance(detail, Network):
            unix = detail.type is NetworkType.UNIX
            return "unix sockets cannot be" if unix else "its address is allowed under another name"
        if event.outcome is Outcome.FAILURE:
            return "it failed by itself"
        return self.cannot_refuse or "the kernel has no place to refuse it"

    def _do(self, event: Event, response: Response) -> _Outcome:
        if response is Response.FREEZE:
            return self._freeze([event.scope])
        if response is Response.KILL_SCOPE:
            return self._kill([event.scope])
        process = event.process
        return self._kill_one(process.pid, process.start_ns, _named(process))

    def _kill_one(self, pid: int, start_ns: int, name: str) -> _Outcome:
        if pid in self._scopes.spared():
            return Result.FAILED, f"{name} is Rubicon itself"
        done = kill_process(Task.of(pid, start_ns))
        return (Result.DONE, f"killed {name}") if done else (Result.GONE, f"{name} had ended already")

    # On scopes: None is all of them

    def _freeze(self, numbers: list[int] | None) -> _Outcome:
        if self._closed:
            return Result.FAILED, "the session ends: nothing is frozen any more"
        wanted = self._scopes.numbers() if numbers is None else numbers
        new = [each for each in wanted if each not in self._held]
        if not new and self._held:
            return Result.DONE, "frozen already"
        frozen = [self._held.freeze(each, self._scopes.one(each)) for each in new]
        return Result.DONE, f"froze {self._which(numbers)}{_frozen_words(frozen)}"

    def _thaw(self, numbers: list[int] | None) -> _Outcome:
        frozen = [each for each in self._held if numbers is None or each in numbers]
        if not frozen:
            return Result.DONE, "nothing is frozen"
        failed: OSError | None = None
        for each in frozen:
            self._done = {key: None for key in self._done if (key[0], key[2]) != (Response.FREEZE, each)}
            try:
                self._held.thaw(each)
            except OSError as error:
                failed = error
        if failed:
            raise failed
        return Result.DONE, "thawed" if numbers is None else f"thawed {self._which(numbers)}"

    def _kill(self, numbers: list[int] | None) -> _Outcome:
        which = "" if numbers is None else f" of {self._which(numbers)}"  # while they are there
        scopes = [self._scopes.every()] if numbers is None else map(self._scopes.one, numbers)
        killed = left = 0
        for scope in scopes:
            counts = kill_scope(scope, lambda: self._release(numbers))
            killed, left = killed + counts[0], left + counts[1]
        message = f"killed {killed} process{'' if killed == 1 else 'es'}{which}"
        if left:
            return Result.FAILED, f"{message}, {left} could not be ended"
        return Result.DONE, message

    def _release(self, numbers: list[int] | None) -> None:
        with suppress(OSError):
            self._thaw(numbers)

    def _which(self, numbers: list[int] | None) -> str:
        if numbers is None:
            return ALL
        return ", ".join(dict.fromkeys(map(self._scopes.words, numbers)))

    @property
    def is_frozen(self) -> bool:
        return bool(self._held)

    def command(self, response: Response, by: str, target: str = "") -> Taken:
        """What a person asked for: freeze, thaw, or kill all that is watched, or the scopes that `target`
        means."""
        ways = {Response.FREEZE: self._freeze, Response.THAW: self._thaw, Response.KILL: self._kill}
        numbers: list[int] | None = None
        began_ns = self.now_ns()
        with self._lock:
            try:
                _need_all_pids()
                numbers = self._scopes.named(target) if target else None
                result, message = ways[response](numbers)
            except UsageError as error:
                result, message = Result.FAILED, str(error)
            except Exception as error:  # noqa: BLE001  told to who asked
                result, message = Result.FAILED, f"cannot {response.value}: {error}"
        scope = numbers[0] if numbers and len(numbers) == 1 else 0
        now_ns = self.now_ns()
        taken = Taken(now_ns, response, result, message, now_ns - began_ns, by=by, scope=scope, target=target)
        return self._told(taken)

    def kill_process(self, pid: int, start_ns: int, by: str) -> Taken:
        """One process, by its pid and its start since boot."""
        began_ns = self.now_ns()
        try:
            _need_all_pids()
            result, message = self._kill_one(pid, start_ns, f"process {pid}")
        except OSError as error:
            result, message = Result.FAILED, f"cannot kill process {pid}: {error}"
        now_ns = self.now_ns()
        return self._told(Taken(now_ns, Response.KILL, result, message, now_ns - began_ns, by=by))

    def note(self, response: Response, message: str, by: str) -> Taken:
        """Something else that was done because a person asked for it."""
        return self._told(Taken(self.now_ns(), response, Result.DONE, message, by=by))

    def refused(self, command: str, by: str, why: str) -> None:
        """A command from somebody who has no say."""
        known = Response(command) if command in set(Response) else Response.ALERT
        message = f"refused {command} from {by}: {why}"
        self._told(Taken(self.now_ns(), known, Result.REFUSED, message, by=by))

    def close(self) -> None:
        """Nothing stays frozen behind us, and nothing is frozen from now on."""
        with self._lock:
            self._closed = True
            if not self._held:
                return
        self.command(Response.THAW, "the end of the session")

    # What was done already

    def _was_done(self, violation: Violation, response: Response) -> bool:
        key = self._key(violation, response)
        if key in self._done:
            return True
        if len(self._done) >= _REMEMBERED_MAX:
            del self._done[next(iter(self._done))]
        self._done[key] = None
        return False

    def _forget(self, violation: Violation, response: Response) -> None:
        self._done.pop(self._key(violation, response), None)

    def _key(self, violation: Violation, response: Response) -> tuple[Response, str, object]:
        """A scope is frozen once until it is thawed, whoever broke the rule."""
        frozen = response is Response.FREEZE and self._enforce
        event = violation.event
        return response, violation.rule.id, event.scope if frozen else event.process.entity_id

    # Telling

    def _whom(self, violation: Violation) -> str:
        if violation.rule.response in (Response.FREEZE, Response.KILL_SCOPE):
            return self._scopes.words(violation.event.scope)
        return _named(violation.event.process)

    def _report(
        self,
        violation: Violation,
        result: Result,
        message: str,
        *,
        response: Response | None = None,
        in_kernel: bool = False,
    ) -> None:
        event, process = violation.event, violation.event.process
        now_ns = event.time_ns if in_kernel else self.now_ns()
        taken = Taken(
            now_ns,
            response or violation.rule.response,
            result,
            message,
            max(0, now_ns - event.time_ns),
            in_kernel,
            event=event.sequence,
            rule=violation.rule,
            subject=Subject(process.pid, process.entity_id, process.name, process.executable),
            scope=event.scope,
            target=event.target,
        )
        self._add(action_record(taken))
        self._untold.append(taken)

    def _told(self, taken: Taken) -> Taken:
        self._add(action_record(taken))
        self._tell(taken)
        return taken

    def _tell(self, taken: Taken) -> None:
        with suppress(Exception):
            self._on_action(taken)


def _named(process: Process) -> str:
    return f"{process.name}[{process.pid}]"


def _need_all_pids() -> None:
    """Raises OSError where nobody could be found by the pids of the kernel's records."""
    if not sees_all_pids():
        raise OSError("pids here are not those of the kernel: Rubicon is in a pid namespace")


def _what(detail: object) -> str:
    """What was refused."""
    if isinstance(detail, Network):
        return f" the way to {detail.destination_ip} port {detail.destination_port}"
    if isinstance(detail, File | Exec):
        both = f" and {detail.original_path}" if isinstance(detail, File) and detail.original_path else ""
        return f" {'to run ' if isinstance(detail, Exec) else ''}{detail.path}{both}"
    return ""


_WORDS = {
    Response.KILL: "killed",
    Response.KILL_SCOPE: "killed",
    Response.FREEZE: "frozen",
    Response.DENY: "refused",
}


def _frozen_words(frozen: list[Frozen]) -> str:
    folders = sum(len(each.folders) for each in frozen)
    tasks = sum(len(each.tasks) for each in frozen)
    counts = (folders, "cgroup"), (tasks, "process")
    parts = [f"{count} {word}{_plural(word) if count != 1 else ''}" for count, word in counts if count]
    return f" ({', '.join(parts)})" if parts else ""


def _plural(word: str) -> str:
    return "es" if word.endswith("s") else "s"
