"""An audit report: one page of HTML that stands by itself, for the screen and for paper.

It has no script and loads nothing; the content security policy says so to the browser. Every text in it goes
through `printable` and is escaped, whether it comes from a traced program or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import jinja2
from rich.filesize import decimal

from tracer.events import Level, Violation
from tracer.export.audit import Audit, Node, Timeline
from tracer.export.documents import Summary
from tracer.export.ecs import timestamp
from tracer.text import address, printable
from tracer.trace import Verdict

_DEPTH_MAX = 40  # of the process tree: deeper ones are shown beside their ancestors
_WIDTH, _HEIGHT = 960, 120
_COLOURS = ("#4c78a8", "#54a24b", "#b79a20")


def write(
    out: TextIO,
    session: Mapping[str, Any],
    audit: Audit,
    summary: Summary,
    *,
    integrity: Verdict,
    made_ns: int,
) -> None:
    """`audit` has taken in all of the trace. Errors of `out` (OSError) pass through."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tracer.export", "."),
        autoescape=True,
        finalize=_finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"time": timestamp, "lineage": _lineage, "bytes": decimal, "address": address}
    page = environment.get_template("report.html").stream(
        session=session,
        audit=audit,
        groups=audit.worst_first(),
        tree=_flattened(audit.roots()),
        peers=sorted(audit.peers.values(), key=lambda peer: (-peer.connects, peer.address, peer.port)),
        outside=sorted(audit.outside.items()),
        levels=[level for level in reversed(Level) if summary.violations[level.value]],
        timeline=_bars(audit.timeline),
        summary=summary,
        reasons=reasons(summary, integrity),
        integrity=integrity,
        made=timestamp(made_ns),
        width=_WIDTH,
        height=_HEIGHT,
        colours=_COLOURS,
        sources=_sources(session),
        unseen=_texts(session.get("unseen")),
    )
    page.enable_buffering(64)
    out.writelines(page)


def reasons(summary: Summary, integrity: Verdict) -> list[str]:
    """Why the verdict is what it is, and what it cannot vouch for: one sentence each."""
    found, closing = summary.violations, summary.closing
    said = [_counted(found[level.value], level) for level in reversed(Level) if found[level.value]]
    if not said:
        said.append("nothing that was seen broke a rule")
    said += [
        f"{count:,} records were lost in the {ring} ring" for ring, count in closing.losses.items() if count
    ]
    if closing.unjudged:
        said.append(f"{closing.unjudged:,} events were judged by no rule")
    if closing.bad_records:
        said.append(f"{closing.bad_records:,} records could not be read")
    if closing.damage:
        said.append(f"the trace ends early: {closing.damage}")
    said.append(f"integrity: {integrity.message}")
    return said


def _counted(count: int, level: Level) -> str:
    return f"{count:,} {level.value} violation{'' if count == 1 else 's'}"


def _finalize(value: Any) -> Any:
    """Of every expression in the page."""
    if value is None:
        return ""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _lineage(violation: Violation) -> list[str]:
    """The oldest first."""
    processes = list(violation.event.process.lineage())
    return [f"{each.name or each.executable or '?'} ({each.pid})" for each in reversed(processes)]


def _flattened(roots: Sequence[Node]) -> list[tuple[int, Node]]:
    """With depths, in the order of a tree; without recursion, as a trace may be as deep as it likes."""
    found: list[tuple[int, Node]] = []
    waiting = [(0, node) for node in reversed(roots)]
    while waiting:
        depth, node = waiting.pop()
        found.append((min(depth, _DEPTH_MAX), node))
        waiting.extend((depth + 1, child) for child in reversed(node.children))
    return found


def _bars(timeline: Timeline) -> dict[str, Any]:
    """Rectangles of an SVG picture, and marks where something broke a rule."""
    most = max((sum(each[:-1]) for each in timeline.bins), default=0) or 1
    width = _WIDTH / max(len(timeline.bins), 1)
    bars, marks = [], []
    for place, counts in enumerate(timeline.bins):
        top = float(_HEIGHT)
        for family, count in enumerate(counts[:-1]):
            height = count / most * (_HEIGHT - 12)
            top -= height
            if count:
                bars.append(
                    (round(place * width, 1), round(top, 1), round(width * 0.9, 1), round(height, 1), family)
                )
        if counts[-1]:
            marks.append((round((place + 0.45) * width, 1), counts[-1]))
    seconds = timeline.width_ns / 1_000_000_000
    return {
        "bars": bars,
        "marks": marks,
        "most": most,
        "seconds": f"{seconds:g}",
        "start_ns": timeline.start_ns,
    }


def _sources(session: Mapping[str, Any]) -> list[tuple[str, str]]:
    rules = session.get("rules")
    sources = rules.get("sources") if isinstance(rules, Mapping) else None
    if not isinstance(sources, list):
        return []
    return [(str(each.get("path")), str(each.get("sha256"))) for each in sources if isinstance(each, Mapping)]


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []
