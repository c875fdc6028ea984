"""Several rules that share keys in one file: the `action` of Sigma rule collections.

action: global      its keys are those of every document after it, unless these say otherwise
action: reset       from here on they are not any more
action: repeat      the rule before it once more, with the keys of this document
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from tracer.errors import RuleFileError
from tracer.rules.yamlfile import Document

_ACTIONS = ("global", "reset", "repeat")


def expanded(documents: Iterable[Document]) -> Iterator[Document]:
    """Whole rules. Raises RuleFileError for an action that is none."""
    shared: Document | None = None
    previous: Document | None = None
    for document in documents:
        match _action(document):
            case "global":
                shared = _joined(shared, document)
            case "reset":
                shared = None
            case "repeat":
                previous = _joined(previous, document)
                yield previous
            case _:
                previous = _joined(shared, document)
                yield previous


def _action(document: Document) -> str:
    if not isinstance(document.value, dict) or "action" not in document.value:
        return ""
    action = document.value["action"]
    if action not in _ACTIONS:
        raise RuleFileError([document.problem(("action",), f"is not one of {', '.join(_ACTIONS)}")])
    return str(action)


def _joined(base: Document | None, document: Document) -> Document:
    """What is in both is as `document` says, key by key."""
    if not isinstance(document.value, dict):
        return document
    own = {key: value for key, value in document.value.items() if key != "action"}
    if base is None:
        return replace(document, value=own)
    shared: dict[str, Any] = base.value if isinstance(base.value, dict) else {}
    return Document(document.file, _merged(shared, own), {**base.lines, **document.lines})


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        before = merged.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            merged[key] = _merged(before, value)
        else:
            merged[key] = value
    return merged
