"""The pack as it was read when Rubicon was set up: its documents, and its lines taken apart.

Reading YAML and Sigma takes several times as long as making tests of what they say. So scripts/setup has it
done once, and the outcome lies beside the probes that it built as well, as JSON. It is used where the code
that made it and the bytes of a file are the same, and where nobody but root and the owner of this program may
have written it; else all is read as if it were not there.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tracer.rules.parsed import Line
from tracer.rules.yamlfile import Document, parse, read_bytes

HERE = Path(__file__).parent
PREPARED = HERE.parents[1] / "probes" / "build" / "pack.json"
_CODE = ("literals.py", "parsed.py", "prepared.py", "sigmaline.py", "yamlfile.py")


@dataclass(frozen=True, slots=True)
class Prepared:
    """By the SHA-256 of a file its documents, each with its line; by key and values a line."""

    files: Mapping[str, Sequence[Sequence[Any]]] = field(default_factory=dict)
    lines: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def documents(self, path: Path, digest: str) -> list[Document]:
        """Empty when they are not known."""
        return [Document(path, value, {(): line}) for value, line in self.files.get(digest, ())]

    def line(self, key: str | None, values: Any) -> Line | None:
        found = self.lines.get(_name(key, values)) if self.lines else None
        return Line(*found) if found else None


def _name(key: str | None, values: Any) -> str:
    """Of what JSON cannot hold, such as a date, one that is never found."""
    try:
        return json.dumps([key, values])
    except TypeError:
        return ""


def open_prepared(path: Path = PREPARED) -> Prepared:
    """One that knows nothing when it is not there, old, or may be another's."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        with open(path, "rb") as file:
            if not _is_ours(os.fstat(file.fileno())):
                return Prepared()
            known = json.load(file)
        if known["code"] == _code():
            return Prepared(known["files"], known["lines"])
    return Prepared()


def _is_ours(found: os.stat_result) -> bool:
    writable = stat.S_IMODE(found.st_mode) & (stat.S_IWGRP | stat.S_IWOTH)
    return not writable and found.st_uid in (0, HERE.stat().st_uid)


def _code() -> str:
    digest = hashlib.sha256()
    for name in _CODE:
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()


def prepare(folder: Path, path: Path = PREPARED) -> None:
    """Read the rules of `folder` and keep what comes of it. Raises OSError, RuleFileError."""
    files: dict[str, Any] = {}
    lines: dict[str, Any] = {}
    for file in sorted(folder.rglob("*.yml")):
        data = read_bytes(file)
        documents = parse(file, data)
        files[hashlib.sha256(data).hexdigest()] = [[each.value, each.line(())] for each in documents]
        for document in documents:
            lines |= _lines_of(document.value.get("detection", {}))
    made = path.with_name(f".{path.name}.{os.getpid()}")
    made.write_text(json.dumps({"code": _code(), "files": files, "lines": lines}))
    made.chmod(0o644)
    made.replace(path)


def _lines_of(detection: Mapping[str, Any]) -> dict[str, Any]:
    from tracer.rules.sigmaline import parse_line

    found: dict[str, Any] = {}
    for name, definition in detection.items():
        for key, values in _items(definition) if name != "condition" else ():
            line = parse_line(key, values)
            found[_name(key, values)] = [line.field, line.every, line.negated, line.values]
    found.pop("", None)
    return found


def _items(definition: Any) -> Iterator[tuple[str | None, Any]]:
    """The lines of a definition: see `tracer.rules.detection`."""
    if isinstance(definition, dict):
        yield from definition.items()
    elif isinstance(definition, list) and any(isinstance(each, dict | list) for each in definition):
        for each in definition:
            yield from _items(each)
    else:
        yield None, definition
