"""From a policy file, or the name of a profile, to one policy: what it extends, and its variables put in.

    extends: coding-agent               a profile, a file (relative to this one), or a list of them
    variables: {data: /srv/data}
    files: {write: ["${data}/**"]}
    network: {inherit: false, connect: [localhost]}

What comes later wins: what is extended first, in its order, then the file itself. Lists of a section are
joined, so an entry that begins with "!" takes away what was inherited; any other key is as the later one
says. `inherit: false` begins a section anew: nothing of it that came before holds.

`profiles/` holds the policies that come with Rubicon. A name without a slash that is one of theirs means it;
`./NAME` is a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tracer.errors import Problem, RuleFileError
from tracer.rules.policy import Policy, only_document, policy_of, problems_of
from tracer.rules.variables import NAME, Given, Scope, Values, Variables, in_force
from tracer.rules.yamlfile import Document, Place, parse, read_bytes

PROFILES = Path(__file__).parent / "profiles"
DEPTH_MAX = 16

_SUFFIX = ".yaml"
_SECTIONS = ("files", "network", "process")
LISTS = ("files.write", "files.mounts", "network.connect", "process.exec")
_UNIX = ("unix:/", "!unix:/")

Read = Callable[[Path, str], list[Document]]
"""What is in a file, which is told under this name. Raises RuleFileError."""


@dataclass(frozen=True, slots=True)
class Effective:
    """A policy as it is in force.

    keys    what one file without `extends` and variables would say
    used    the variables that entries asked for
    """

    policy: Policy
    keys: Mapping[str, Any]
    used: Variables


def profile_names() -> list[str]:
    return sorted(path.stem for path in PROFILES.glob(f"*{_SUFFIX}"))


def profile_path(name: str | os.PathLike[str]) -> Path | None:
    """Where the profile of this name is; None for what is a file."""
    if not isinstance(name, str) or name not in profile_names():
        return None
    return PROFILES / f"{name}{_SUFFIX}"


def read_policy(
    name: str | os.PathLike[str], given: Given, read: Read = lambda path, _name: parse(path, read_bytes(path))
) -> Effective:
    """Raises RuleFileError with every problem of the file and those it extends."""
    reading = _Reading(read)
    profile = profile_path(name)
    reading.take(profile or Path(name), f"profile:{name}" if profile else str(name))
    return reading.result(given)


@dataclass(slots=True)
class _Reading:
    """The documents in the order in which they hold: what one extends is before it."""

    read: Read
    documents: list[Document] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    under_way: list[str] = field(default_factory=list)
    done: set[str] = field(default_factory=set)

    def take(self, path: Path, name: str) -> None:
        try:
            document = only_document(path, self.read(path, name))
        except RuleFileError as error:
            self.problems += error.problems
            return
        self.under_way.append(os.path.realpath(path))
        for base, base_name, place in self._extended(document):
            self._take_base(base, base_name, document, place)
        self.done.add(self.under_way.pop())
        self.documents.append(document)

    def _extended(self, document: Document) -> Iterator[tuple[Path, str, Place]]:
        value = document.value.get("extends", [])
        for position, name in enumerate(value if isinstance(value, list) else [value]):
            place: Place = ("extends", position) if isinstance(value, list) else ("extends",)
            if not isinstance(name, str):
                continue  # the model says so
            profile = profile_path(name)
            path = profile or document.file.parent / name
            if profile is None and "/" not in name and not path.exists():
                known = ", ".join(profile_names())
                self._report(document, place, f'"{name}" is no file here, and no profile: there are {known}')
                continue
            yield path, f"profile:{name}" if profile else str(path), place

    def _take_base(self, path: Path, name: str, document: Document, place: Place) -> None:
        real = os.path.realpath(path)
        if real in self.under_way:
            self._report(document, place, f'"{name}" extends this file in turn')
        elif len(self.under_way) >= DEPTH_MAX:
            self._report(document, place, f"more than {DEPTH_MAX} policies extend each other")
        elif real not in self.done:
            self.take(path, name)

    def _report(self, document: Document, place: Place, message: str) -> None:
        self.problems.append(document.problem(place, message))

    def result(self, given: Given) -> Effective:
        declared = {name: values for each in self.documents for name, values in self._declared(each)}
        scope = Scope(in_force(given, declared))
        keys: dict[str, Any] = {}
        for document in self.documents:
            expanded = self._expanded(document, scope)
            self.problems += problems_of(expanded)
            keys = _merged(keys, expanded.value)
        if self.problems:
            raise RuleFileError(self.problems)
        return Effective(policy_of(keys, self.documents[-1]), keys, scope.used)

    def _declared(self, document: Document) -> Iterator[tuple[str, Values]]:
        section = document.value.get("variables", {})
        for name, value in section.items() if isinstance(section, dict) else ():
            texts = value if isinstance(value, list) else [value]
            if not NAME.fullmatch(name):
                self._report(document, ("variables", name), "is not a name: letters, digits, _ and -")
            if all(isinstance(text, str) for text in texts):
                yield name, tuple(texts)

    def _expanded(self, document: Document, scope: Scope) -> Document:
        """The document with its variables put in: entries of lists may become several, in their line."""
        value, lines = dict(document.value), dict(document.lines)
        for section, _dot, key in (name.partition(".") for name in LISTS):
            inner = value.get(section)
            if not isinstance(inner, dict) or not isinstance(inner.get(key), list):
                continue
            made: list[Any] = []
            for position, entry in enumerate(inner[key]):
                place = (section, key, position)
                for each in self._entries(entry, scope, document, place, in_path=section != "network"):
                    lines[section, key, len(made)] = document.line(place)
                    made.append(each)
            value[section] = {**value[section], key: made}
        return Document(document.file, value, lines)

    def _entries(
        self, entry: Any, scope: Scope, document: Document, place: Place, *, in_path: bool
    ) -> list[Any]:
        if not isinstance(entry, str):
            return [entry]
        try:
            return list(scope.expand(entry, in_path=in_path or entry.startswith(_UNIX)))
        except ValueError as error:
            self._report(document, place, str(error))
            return []


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**base, **{key: value for key, value in own.items() if key not in ("extends", "variables")}}
    for name in _SECTIONS:
        before, after = base.get(name), own.get(name)
        if isinstance(after, dict):
            kept = before if isinstance(before, dict) and after.get("inherit", True) else {}
            merged[name] = _merged_section(kept, after)
    return merged


def _merged_section(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        before = merged.get(key)
        if isinstance(before, list) and isinstance(value, list):
            merged[key] = [*before, *[entry for entry in value if entry not in before]]
        elif key != "inherit":
            merged[key] = value
    return merged
