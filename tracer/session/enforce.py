"""Violations and commands -> actions: whom, whether, and what came of it, told and kept in the trace."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tracer.actions.freeze import Frozen, freeze_scope, thaw
from tracer.actions.kept import Kept
from tracer.actions.kill import kill_process, kill_scope
from tracer.actions.scope import Scope
from tracer.actions.tasks import Task
from tracer.events import Event, Network, NetworkType, Process, Response, Result, Subject, Taken, Violation
from tracer.rulings import action_record
from tracer.targets.processes import sees_all_pids

_REMEMBERED_MAX = 10_000


class Enforcer:
    """May be asked from any thread. `enforce` false: a violation only tells what would have been done; what a
    person asks for is done either way.

    What was done about a violation is told by `tell`, for the violation itself is to be told first.

    `add` takes context records for the trace, `on_action` what is to be told. `kept` is where it is written
    down that something is frozen.
    """

    def __init__(
        self,
        scope: Scope,
        kept: Path,
        add: Callable[[Mapping[str, Any]], object],
        on_action: Callable[[Taken], object],
        *,
        enforce: bool,
        boot_offset_ns: int,
    ) -> None:
        self._scope = scope
        self._kept = Kept(kept)
        self._add = add
        self._on_action = on_action
        self._untold: list[Taken] = []
        self._enforce = enforce
        self._boot_offset_ns = boot_offset_ns
        self._lock = threading.Lock()
        self._frozen: Frozen | None = None
        self._closed = False
        self._done: dict[tuple[Response, str, str], None] = {}

    def now_ns(self) -> int:
        """On the clock of the events: it cannot be set while a session runs."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) + self._boot_offset_ns

    def tell(self) -> None:
        """What was done about violations since this was called last. For the thread that calls `react`."""
        while self._untold:
            self._tell(self._untold.pop(0))

    def react(self, violation: Violation) -> None:
        """What the rule wants done, once for each process and rule. Never raises: the judging must go on."""
        response = violation.rule.response
        if response is Response.ALERT or self._was_done(violation, response):
            return
        if not self._enforce:
            self._report(violation, Result.WOULD, f"would have {_WORDS[response]} {_whom(violation)}")
            return
        if violation.event.answer is not None:
            self._answered(violation, violation.event.answer)
            return
        with self._lock:
            self._act(violation, response)

    def _answered(self, violation: Violation, answer: Response) -> None:
        """A probe was there first."""
        process, detail = violation.event.process, violation.event.detail
        message = f"{'refused' if answer is Response.DENY else 'killed'} {process.name}[{process.pid}]"
        if answer is Response.DENY and isinstance(detail, Network):
            message += f" the way to {detail.destination_ip} port {detail.destination_port}"
        self._report(violation, Result.DONE, message, in_kernel=True)

    def _act(self, violation: Violation, response: Response) -> None:
        try:
            if response is Response.DENY:
                result, message = Result.FAILED, f"was not refused: {_why_not(violation.event)}"
            else:
                result, message = self._do(violation.event.process, response)
        except Exception as error:  # noqa: BLE001  told in the trace
            self._forget(violation, response)
            result, message = Result.FAILED, f"cannot {response.value}: {error}"
        self._report(violation, result, message)

    def _do(self, process: Process, response: Response) -> tuple[Result, str]:
        if not sees_all_pids():
            return Result.FAILED, "pids here are not those of the kernel: Rubicon is in a pid namespace"
        if response is Response.FREEZE:
            return self._freeze()
        name = f"{process.name}[{process.pid}]"
        if process.pid in self._scope.spared():
            return Result.FAILED, f"{name} is Rubicon itself"
        done = kill_process(Task.of(process.pid, process.start_ns))
        return (Result.DONE, f"killed {name}") if done else (Result.GONE, f"{name} had ended already")

    def _freeze(self) -> tuple[Result, str]:
        if self._frozen is not None:
            return Result.DONE, "frozen already"
        if self._closed:
            return Result.FAILED, "the session ends: nothing is frozen any more"
        last = Frozen()

        def keep(frozen: Frozen) -> None:
            nonlocal last
            last = frozen
            self._kept.keep(frozen)

        try:
            freeze_scope(self._scope, keep)
        finally:
            self._frozen = last or None
        return Result.DONE, f"froze all that is watched{_frozen_words(last)}"

    def _thaw(self) -> tuple[Result, str]:
        if self._frozen is None:
            return Result.DONE, "nothing is frozen"
        frozen, self._frozen = self._frozen, None
        self._done = {key: None for key in self._done if key[0] is not Response.FREEZE}
        thaw(frozen)
        self._kept.forget()
        return Result.DONE, "thawed"

    def _kill_all(self) -> tuple[Result, str]:
        killed, left = kill_scope(self._scope, self._release)
        message = f"killed {killed} process{'' if killed == 1 else 'es'}"
        if left:
            return Result.FAILED, f"{message}, {left} could not be ended"
        return Result.DONE, message

    def _release(self) -> None:
        if self._frozen is not None:
            with suppress(OSError):
                self._thaw()

    @property
    def is_frozen(self) -> bool:
        return self._frozen is not None

    def command(self, response: Response, by: str) -> Taken:
        """What a person asked for: freeze, thaw, or kill all that is watched."""
        ways = {Response.FREEZE: self._freeze, Response.THAW: self._thaw, Response.KILL: self._kill_all}
        began_ns = self.now_ns()
        with self._lock:
            try:
                if not sees_all_pids():
                    raise OSError("Rubicon is in a pid namespace: pids here are not those of the kernel")
                result, message = ways[response]()
            except Exception as error:  # noqa: BLE001  told to who asked
                result, message = Result.FAILED, f"cannot {response.value}: {error}"
        now_ns = self.now_ns()
        return self._told(Taken(now_ns, response, result, message, now_ns - began_ns, by=by))

    def refused(self, command: str, by: str, why: str) -> None:
        """A command from somebody who has no say."""
        known = Response(command) if command in set(Response) else Response.ALERT
        message = f"refused {command} from {by}: {why}"
        self._told(Taken(self.now_ns(), known, Result.REFUSED, message, by=by))

    def close(self) -> None:
        """Nothing stays frozen behind us, and nothing is frozen from now on."""
        with self._lock:
            self._closed = True
            if self._frozen is None:
                return
        self.command(Response.THAW, "the end of the session")

    def _was_done(self, violation: Violation, response: Response) -> bool:
        if violation.event.answer is not None:
            return False
        entity = "" if response is Response.FREEZE and self._enforce else violation.event.process.entity_id
        key = response, violation.rule.id, entity
        if key in self._done:
            return True
        if len(self._done) >= _REMEMBERED_MAX:
            del self._done[next(iter(self._done))]
        self._done[key] = None
        return False

    def _forget(self, violation: Violation, response: Response) -> None:
        entity = "" if response is Response.FREEZE else violation.event.process.entity_id
        self._done.pop((response, violation.rule.id, entity), None)

    def _report(self, violation: Violation, result: Result, message: str, *, in_kernel: bool = False) -> None:
        event, process = violation.event, violation.event.process
        now_ns = event.time_ns if in_kernel else self.now_ns()
        taken = Taken(
            now_ns,
            violation.rule.response,
            result,
            message,
            max(0, now_ns - event.time_ns),
            in_kernel,
            event=event.sequence,
            rule=violation.rule,
            subject=Subject(process.pid, process.entity_id, process.name, process.executable),
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


def _why_not(event: Event) -> str:
    """Why the kernel let a connection pass that the policy does not allow."""
    detail = event.detail
    if event.snapshot:
        return "it was connected before the attach"
    if isinstance(detail, Network) and detail.type is NetworkType.UNIX:
        return "unix sockets cannot be"
    return "its address is allowed under another name"


_WORDS = {Response.KILL: "killed", Response.FREEZE: "frozen", Response.DENY: "refused"}


def _whom(violation: Violation) -> str:
    process = violation.event.process
    if violation.rule.response is Response.FREEZE:
        return "all that is watched"
    return f"{process.name}[{process.pid}]"


def _frozen_words(frozen: Frozen) -> str:
    counts = (len(frozen.folders), "cgroup"), (len(frozen.tasks), "process")
    parts = [f"{count} {word}{_plural(word) if count != 1 else ''}" for count, word in counts if count]
    return f" ({', '.join(parts)})" if parts else ""


def _plural(word: str) -> str:
    return "es" if word.endswith("s") else "s"


def spared_pids(watched: frozenset[int]) -> set[int]:
    """Rubicon and what it started, as the screen, but for whom it was told to watch."""
    own = os.getpid()
    return {own, *(_children(own) - watched)}


def _children(pid: int) -> set[int]:
    found: set[int] = set()
    for thread in os.listdir(f"/proc/{pid}/task"):
        with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
            found.update(map(int, file.read().split()))
    return found
