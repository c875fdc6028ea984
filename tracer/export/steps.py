"""One JSON object a step: what the agent said it was at, what it did, and what of that broke rules.

    {"step": "7", "tool": "Bash", "episode": ..., "call_id": ..., "trace_id": ..., "span_id": ...,
     "start": ..., "end": ...,
     "label": "clean" | "violated", "rules": {"<rule id>": {"name": ..., "level": ..., "count": ...}},
     "counts": {"exec": 3, ...}, "events": [...]}

Data for training on what a step led to: the label is by the rules in force, `events` are the ECS documents of
what it did and of its violations. What belongs to no step comes last, with `step` null. As steps overlap, the
documents wait in a temporary database on disk; an object is written piece by piece.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import Any, TextIO

from tracer.export.documents import Documents
from tracer.export.jsonl import line_of

_NONE = ""


def write(documents: Documents, out: TextIO) -> None:
    """Errors of `out` (OSError) pass through."""
    heads: dict[str, dict[str, Any]] = {}
    with closing(sqlite3.connect("", isolation_level=None)) as waiting:  # a private file, gone when closed
        waiting.execute("CREATE TABLE documents (step TEXT, line TEXT)")
        waiting.execute("BEGIN")
        for document in documents:
            if "summary" in document["rubicon"] or "sequence" not in document["event"]:
                continue
            names = _names(document)
            step = line_of(names) if names else _NONE
            _count(heads.setdefault(step, _head(names, document)), document)
            waiting.execute("INSERT INTO documents VALUES (?, ?)", (step, line_of(document).rstrip("\n")))
        waiting.execute("COMMIT")
        waiting.execute("CREATE INDEX by_step ON documents (step)")
        for step in sorted(heads, key=lambda each: (each == _NONE, heads[each]["start"])):
            lines = waiting.execute("SELECT line FROM documents WHERE step = ? ORDER BY rowid", (step,))
            out.write(line_of(heads[step]).removesuffix("}\n"))
            out.write(',"events":[')
            out.writelines(f",{line}" if place else line for place, (line,) in enumerate(lines))
            out.write("]}\n")


def _names(document: dict[str, Any]) -> dict[str, str]:
    """All that tells one step from another: two may have the same number, in different episodes."""
    facts = document.get("gen_ai", {})
    tool = facts.get("tool", {})
    names = {
        "step": document["rubicon"].get("step"),
        "tool": tool.get("name"),
        "episode": facts.get("conversation", {}).get("id"),
        "call_id": tool.get("call", {}).get("id"),
        "trace_id": document.get("trace", {}).get("id"),
        "span_id": document.get("span", {}).get("id"),
    }
    return {name: value for name, value in names.items() if value}


def _head(names: dict[str, str], document: dict[str, Any]) -> dict[str, Any]:
    confidence = document["rubicon"].get("step_confidence")
    return {
        "step": None,
        **names,
        "session": document["rubicon"]["session"],
        "start": document["@timestamp"],
        "end": document["@timestamp"],
        **({"confidence": confidence} if confidence is not None else {}),
        "label": "clean",
        "rules": {},
        "counts": Counter(),
    }


def _count(head: dict[str, Any], document: dict[str, Any]) -> None:
    head["end"] = max(head["end"], document["@timestamp"])
    if document["event"]["kind"] != "alert":
        head["counts"][document["event"]["action"]] += 1
        return
    rule = document["rule"]
    head["label"] = "violated"
    known = head["rules"].setdefault(rule["id"], {"name": rule["name"], "level": rule["level"], "count": 0})
    known["count"] += 1
