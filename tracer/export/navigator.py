"""A layer for the ATT&CK Navigator: the techniques that violations showed, coloured by the worst level.

Layer format 4.5. The score of a technique is how many violations had it; its comment names the rules.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, TextIO

from tracer.events import Level, worse
from tracer.export.documents import Documents

_COLOURS = {
    Level.INFORMATIONAL: "#d9d9d9",
    Level.LOW: "#9ecae1",
    Level.MEDIUM: "#fee391",
    Level.HIGH: "#fe9929",
    Level.CRITICAL: "#cb181d",
}


def write(documents: Documents, out: TextIO) -> None:
    """The layer is written at the end: it is as large as the rules are many. Errors of `out` pass through."""
    rules: defaultdict[str, Counter[str]] = defaultdict(Counter)
    worst: dict[str, Level] = {}
    for document in documents:
        if document["event"]["kind"] != "alert":
            continue
        level = Level(document["rule"]["level"])
        for technique in document.get("threat", {}).get("technique", {}).get("id", ()):
            rules[technique][document["rule"]["name"]] += 1
            worst[technique] = worse(worst.get(technique), level)
    json.dump(_layer(documents, rules, worst), out, indent=2)
    out.write("\n")


def _layer(
    documents: Documents, rules: Mapping[str, Counter[str]], worst: Mapping[str, Level]
) -> dict[str, Any]:
    session, summary = documents.session, documents.summary
    return {
        "name": f"Rubicon {session.session}",
        "versions": {"layer": "4.5", "navigator": "5.1.0"},
        "domain": "enterprise-attack",
        "description": f"{session.target}: {summary.verdict.value}, {summary.violations.total()} violations",
        "techniques": [
            {
                "techniqueID": technique,
                "score": found.total(),
                "color": _COLOURS[worst[technique]],
                "comment": "; ".join(f"{name} ({count})" for name, count in sorted(found.items())),
                "enabled": True,
                "showSubtechniques": "." in technique,
            }
            for technique, found in sorted(rules.items())
        ],
        "legendItems": [{"label": level.value, "color": colour} for level, colour in _COLOURS.items()],
        "hideDisabled": False,
    }
