"""The rules of a live session, which may be changed while it runs.

    command reload, rule -> RuleSet, compiled -> record in the trace -> judge: in force from its block on

A change is a context record of the trace, and it takes effect where the judge comes by it: before the events
of that block. A replay comes by it at the same place, so it says the same. What correlations remember goes
over to the new rules where these say the same.

Files are read again when somebody asks for it and never by themselves: who is watched may be able to write
them. What is wrong with them is told, and the rules stay as they are.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from tracer.control import Command, Nothing, Peer, Reply
from tracer.errors import CaptureError, RubiconError, RuleFileError
from tracer.events import Event, RuleKind, Violation
from tracer.rules import RuleSet
from tracer.rules.changes import difference, rules_record, same_policy

IN_FORCE_SECONDS = 5.0  # that an answer waits for the judge

Load = Callable[[], RuleSet]


class OneRule(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str
    enabled: bool


class Rules:
    """`judge` and `learn` are the judge's; the commands come from the control socket's thread.

    load      reads the files of the session again. Raises RubiconError
    add       puts a record into the trace
    prepare   has the rest of the session ready for new rules. Raises CaptureError when it cannot be
    tell      says to people what was changed, and by whom
    fixed     the policy is in the kernel's tables as well: another is for another session
    """

    def __init__(
        self,
        rules: RuleSet,
        load: Load | None,
        add: Callable[[Mapping[str, Any]], object],
        *,
        prepare: Callable[[RuleSet], object] = lambda _rules: None,
        tell: Callable[[str, str], object] = lambda _message, _by: None,
        fixed: bool = False,
    ) -> None:
        self._current = rules  # the judge's
        self._newest = rules  # in force, or about to be
        self._waiting: dict[int, RuleSet] = {}
        self._serial = 0
        self._load = load
        self._add = add
        self._prepare = prepare
        self._tell = tell
        self._fixed = fixed
        self._problems: list[str] = []
        self._changed = threading.Condition()

    def judge(self, event: Event) -> tuple[Violation, ...]:
        return self._current.judge(event)

    def learn(self, record: Mapping[str, Any]) -> None:
        """The judge has come by a change."""
        with self._changed:
            rules = self._waiting.pop(record.get("serial", 0), None)
            if rules is not None:
                rules.take_over(self._current)
                self._current = rules
                self._changed.notify_all()

    def table(self) -> dict[str, Command]:
        return {
            "rules": Command(self._list, Nothing),
            "rule": Command(self._turn, OneRule),
            "reload": Command(self._reload, Nothing),
        }

    def _list(self, _asked: Nothing, _peer: Peer) -> Reply:
        rules = self._newest
        lines = []
        for entry in rules.entries:
            meter = self._current.meters.get(entry.rule.id)
            lines.append(
                {
                    "id": entry.rule.id,
                    "name": entry.rule.name,
                    "level": "" if entry.part else entry.rule.level.value,
                    "kind": "part of a correlation" if entry.part else entry.source,
                    "file": str(entry.file or ""),
                    "line": entry.line,
                    "hits": meter.hits if meter else 0,
                    "spent_ns": meter.spent_ns * rules.timed_every if meter and meter.asked else None,
                    "enabled": entry.rule.id not in rules.off,
                }
            )
        return Reply(ok=True, data={"digest": rules.digest, "rules": lines, "problems": self._problems})

    def _turn(self, asked: OneRule, peer: Peer) -> Reply:
        rules = self._newest
        entry = next((each for each in rules.entries if each.rule.id == asked.id), None)
        if entry is None:
            return Reply(ok=False, message="there is no such rule")
        if self._fixed and entry.rule.kind is RuleKind.POLICY:
            return Reply(ok=False, message="with --enforce the policy stays as it is")
        off = rules.off - {asked.id} if asked.enabled else rules.off | {asked.id}
        if off == rules.off:
            return Reply(ok=True, message=f"{entry.rule.name} is so already")
        self._change(rules.turned(off))
        message = f"turned {'on' if asked.enabled else 'off'}: {entry.rule.name}"
        self._tell(message, str(peer))
        return Reply(ok=True, message=message)

    def _reload(self, _asked: Nothing, peer: Peer) -> Reply:
        if self._load is None:
            return Reply(ok=False, message="this session has no rule files")
        try:
            rules = self._load()
            if self._fixed and not same_policy(self._newest, rules):
                raise CaptureError("with --enforce the policy stays as it is: the kernel has it as well")
            self._prepare(rules)
        except RubiconError as error:
            return self._kept(error, peer)
        known = {entry.rule.id for entry in rules.entries}
        changes = difference(self._newest, rules)
        self._problems = []
        self._change(rules.turned(self._newest.off & known))
        message = f"read {len(rules.entries)} rules again: {changes}"
        self._tell(message, str(peer))
        return Reply(ok=True, message=message)

    def _kept(self, error: RubiconError, peer: Peer) -> Reply:
        """What is wrong, to whoever asked and in the trace."""
        found = error.problems if isinstance(error, RuleFileError) else ()
        self._problems = [str(problem) for problem in found] or [str(error)]
        message = f"the rules stay as they are: {self._problems[0]}"
        if len(self._problems) > 1:
            message += f", and {len(self._problems) - 1} more"
        self._tell(message, str(peer))
        return Reply(ok=False, message=message, data={"problems": self._problems})

    def _change(self, rules: RuleSet) -> None:
        """Returns when they are in force; a judge that is far behind is not waited for."""
        with self._changed:
            self._serial += 1
            serial = self._serial
            self._newest = self._waiting[serial] = rules
            self._add({**rules_record(rules), "serial": serial, "time_ns": time.time_ns()})
            self._changed.wait_for(lambda: serial not in self._waiting, IN_FORCE_SECONDS)
