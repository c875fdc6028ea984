"""`rubicon steps TRACE`: what each step of the agent did."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tracer.cli.remote import find
from tracer.cli.table import aligned
from tracer.errors import EXIT_OK
from tracer.events import (
    CERTAIN,
    Action,
    Category,
    Event,
    File,
    Level,
    Network,
    Outcome,
    Step,
    Violation,
    worse,
)
from tracer.export.ecs import timestamp
from tracer.export.jsonl import line_of
from tracer.pipeline import RecordedTrace, open_trace
from tracer.text import address, printable, valid_unicode

_NAMES_KEPT = 10_000  # of files and peers of a step; more are not told apart
NONE = Step("")


@dataclass(slots=True)
class Account:
    """What one step did. Times are nanoseconds since the Unix epoch, 0 without an event."""

    step: Step
    first_ns: int = 0
    last_ns: int = 0
    commands: int = 0
    files: set[str] = field(default_factory=set)
    peers: set[str] = field(default_factory=set)
    violations: int = 0
    worst: Level | None = None

    def add(self, event: Event, violations: Sequence[Violation]) -> None:
        self.first_ns = self.first_ns or event.time_ns
        self.last_ns = max(self.last_ns, event.time_ns)
        detail = event.detail
        if event.action is Action.EXEC and event.outcome is Outcome.SUCCESS and not event.snapshot:
            self.commands += 1
        elif isinstance(detail, File) and event.category is Category.FILE and len(self.files) < _NAMES_KEPT:
            self.files.add(detail.path)
        elif event.action is Action.CONNECT and isinstance(detail, Network) and len(self.peers) < _NAMES_KEPT:
            self.peers.add(_peer(detail))
        for violation in violations:
            self.violations += 1
            self.worst = worse(self.worst, violation.rule.level)


def _peer(detail: Network) -> str:
    name = detail.destination_domain or detail.destination_ip
    return address(name, detail.destination_port) if name else detail.path


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "steps",
        help="what each step of the agent did",
        description="A table of the steps that were told (`rubicon mark`, hooks, RUBICON_STEP and "
        "TRACEPARENT in the environment) or found afterwards (`rubicon correlate`): commands, files, peers, "
        "violations. The last line is what belongs to no step.",
    )
    parser.add_argument("trace", metavar="TRACE", help="a trace file or the id of a session")
    parser.add_argument("--json", action="store_true", help="one JSON object a step")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    with open_trace(find(args.trace)) as trace:
        accounts = accounts_of(trace)
    if args.json:
        for account in accounts:
            sys.stdout.write(line_of(document(account)))
    elif not any(account.step.id for account in accounts):
        said = "no step was told while this was recorded; rubicon correlate may find them"
        print(f"rubicon: {said}", file=sys.stderr)
    else:
        sure = all(account.step.confidence == CERTAIN for account in accounts)
        last = -1 if sure else len(_HEADER)
        print(aligned(_HEADER[:last], [_row(account)[:last] for account in accounts]))
    return EXIT_OK


def accounts_of(trace: RecordedTrace) -> list[Account]:
    """Of the steps in the order they began, and last of what belongs to none, when that is anything."""
    found: dict[Step, Account] = {}
    engine = trace.session.get("engine")
    told_at = engine.get("steps") if isinstance(engine, Mapping) else None
    for event, violations in trace.items():
        if isinstance(event.detail, Network) and told_at and event.detail.path == told_at:
            continue  # to tell a step is no part of it
        step = event.step or NONE
        account = found.get(step)
        if account is None:
            account = found[step] = Account(step)
        account.add(event, violations)
    rest = found.pop(NONE, None)
    accounts = [found.pop(step) if step in found else Account(step) for step in dict.fromkeys(trace.steps)]
    return [*accounts, *found.values(), *([rest] if rest else [])]


def document(account: Account) -> dict[str, Any]:
    step = account.step
    names = {"step": step.id, "tool": step.tool, "episode": step.episode, "call_id": step.call_id}
    return {
        **{name: valid_unicode(value) for name, value in names.items() if value},
        **(
            {"start": timestamp(account.first_ns), "end": timestamp(account.last_ns)}
            if account.first_ns
            else {}
        ),
        "commands": account.commands,
        "files": sorted(map(valid_unicode, account.files)),
        "peers": sorted(map(valid_unicode, account.peers)),
        "violations": account.violations,
        **({"confidence": step.confidence / CERTAIN} if step.confidence < CERTAIN else {}),
        **({"worst": account.worst.value} if account.worst else {}),
    }


_HEADER = ("STEP", "TOOL", "SECONDS", "COMMANDS", "FILES", "PEERS", "VIOLATIONS", "CONFIDENCE")


def _row(account: Account) -> tuple[str, ...]:
    step = account.step
    peers = sorted(account.peers)
    shown = ", ".join(map(printable, peers[:2])) + (f" and {len(peers) - 2} more" if len(peers) > 2 else "")
    worst = f"{account.violations} ({account.worst.value})" if account.worst else "0"
    seconds = f"{(account.last_ns - account.first_ns) / 1e9:.1f}"
    name = printable(step.id) or "(none)"
    counts = str(account.commands), str(len(account.files))
    confidence = f"{step.confidence} %" if step.id else ""
    return name, printable(step.tool), seconds, *counts, shown, worst, confidence
