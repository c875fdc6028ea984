"""The rules of a session as a table: from the live session when it answers, else from the trace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tracer.events import Level
from tui.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class RuleLine:
    """`hits` and `spent_ns` are None where they are not known; `source` is the file, with its line."""

    id: str
    name: str
    level: Level | None
    kind: str
    source: str = ""
    hits: int | None = None
    spent_ns: int | None = None
    enabled: bool = True


def from_session(data: Mapping[str, Any]) -> tuple[RuleLine, ...]:
    """What the control socket says to `rules`; lines that cannot be read are left out."""
    rules = data.get("rules")
    found = (_line(each) for each in rules if isinstance(each, dict)) if isinstance(rules, list) else ()
    return tuple(line for line in found if line is not None)


def _line(facts: Mapping[str, Any]) -> RuleLine | None:
    level = facts.get("level")
    if not isinstance(facts.get("id"), str):
        return None
    file, line = facts.get("file") or "", facts.get("line")
    return RuleLine(
        id=str(facts["id"]),
        name=str(facts.get("name") or ""),
        level=Level(level) if level in set(Level) else None,
        kind=str(facts.get("kind") or facts.get("source") or ""),
        source=f"{file}:{line}" if file and line else str(file),
        hits=_number(facts.get("hits")),
        spent_ns=_number(facts.get("spent_ns")),
        enabled=facts.get("enabled") is not False,
    )


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def from_trace(snapshot: Snapshot) -> tuple[RuleLine, ...]:
    """The rules that were violated, as often as is still remembered."""
    hits: Counter[str] = Counter()
    lines: dict[str, RuleLine] = {}
    for group in snapshot.violations:
        rule = group.violation.rule
        hits[rule.id] += group.count
        lines[rule.id] = RuleLine(rule.id, rule.name, rule.level, rule.kind.value)
    return tuple(
        RuleLine(line.id, line.name, line.level, line.kind, hits=hits[line.id]) for line in lines.values()
    )


def ordered(lines: Iterable[RuleLine]) -> list[RuleLine]:
    """Those that hit first, the most often; then by level and name."""
    return sorted(
        lines, key=lambda line: (-(line.hits or 0), -(line.level.rank if line.level else -1), line.name)
    )
