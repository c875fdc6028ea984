"""Variables of a policy: `${workspace}` in an entry stands for the text, or the texts, of that name.

    variables:
      cache: ${home}/.cache/builds        may use others
      mirrors: [pypi.example, npm.example]

An entry with a variable of several values stands for as many entries. A value is text and no pattern: in a
path its `*`, `?`, `[` and `\\` are taken as they are. `$${` is `${` itself.

`workspace` is where the watch was started, `home` the home directory there, `resolvers` who answers questions
of DNS, as entries of `network.connect`. A file may say otherwise, and the command line has the last word.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

Values = tuple[str, ...]
Variables = Mapping[str, Values]

VALUES_MAX = 1_000  # entries that one entry may stand for
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")

_USE = re.compile(r"\$\$\{|\$\{([^{}]*)\}")
_SPECIAL = re.compile(r"([*?\[\\])")
_PATHS = ("workspace", "home")
_RESOLVERS = "/etc/resolv.conf"


@dataclass(frozen=True, slots=True)
class Given:
    """The variables that no file declares: of the machine, which files win over, and of the command line."""

    machine: Variables = field(default_factory=dict)
    fixed: Variables = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """For the trace, so that a replay elsewhere puts in the same."""
        return {"machine": dict(self.machine), "fixed": dict(self.fixed)}

    @property
    def all(self) -> dict[str, Values]:
        """By name; what the command line gave goes before."""
        return {**self.machine, **self.fixed}

    @classmethod
    def of_session(cls, session: Mapping[str, object]) -> Given:
        """Those that a session was recorded with, whatever its record holds."""
        rules = session.get("rules")
        return cls.recorded(rules.get("variables") if isinstance(rules, Mapping) else None)

    @classmethod
    def recorded(cls, record: object) -> Given:
        """What `record` gave, whatever it holds."""
        found = record if isinstance(record, Mapping) else {}
        return cls(_variables_in(found.get("machine")), _variables_in(found.get("fixed")))


def _variables_in(record: object) -> dict[str, Values]:
    if not isinstance(record, Mapping):
        return {}
    return {
        str(name): tuple(map(str, values))
        for name, values in record.items()
        if isinstance(values, list | tuple)
    }


def of_this_machine() -> dict[str, Values]:
    """There is no workspace in the root directory: all there is would be in it."""
    home = os.path.realpath(os.path.expanduser("~"))
    found: dict[str, Values] = {"home": (home,), "resolvers": _resolvers(_RESOLVERS)}
    workspace = _working_directory()
    return found if workspace == "/" else found | {"workspace": (workspace,)}


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return "/"


def _resolvers(path: str) -> Values:
    """As resolv.conf(5) has them."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.split() for line in file]
    except OSError:
        return ()
    addresses = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
    return tuple(f"[{each}]:53" if ":" in each else f"{each}:53" for each in addresses)


def parse_assignment(text: str) -> tuple[str, Values]:
    """`NAME=VALUE` of a command line, `NAME=A,B` for several. Raises ValueError."""
    name, equals, value = text.partition("=")
    if not equals or not NAME.fullmatch(name):
        raise ValueError(f'"{text}" is not NAME=VALUE')
    return name, (os.path.realpath(value),) if name in _PATHS else tuple(value.split(","))


def literal_text(text: str) -> str:
    """As an entry has to say it, so that nothing in `text` is a variable."""
    return text.replace("${", "$${")


def in_force(given: Given, declared: Variables) -> dict[str, Values]:
    """All variables; what no file wrote is taken as it stands, whatever it looks like."""

    def literal(variables: Variables) -> dict[str, Values]:
        return {name: tuple(map(literal_text, values)) for name, values in variables.items()}

    return literal(given.machine) | dict(declared) | literal(given.fixed)


@dataclass(slots=True)
class Scope:
    """The variables in force for one policy; `used` are those that some entry asked for."""

    variables: Variables
    used: dict[str, Values] = field(default_factory=dict)
    _under_way: list[str] = field(default_factory=list)

    def expand(self, text: str, *, in_path: bool = False) -> list[str]:
        """The texts that `text` stands for. Raises ValueError for a variable that there is not."""
        pieces: list[Values] = []
        position, count = 0, 1
        for found in _USE.finditer(text):
            values = ("${",) if found[1] is None else self._values(found[1], in_path=in_path)
            pieces += [(text[position : found.start()],), values]
            position, count = found.end(), count * len(values)
            if count > VALUES_MAX:
                raise ValueError(f"stands for more than {VALUES_MAX} entries")
        return ["".join(each) for each in product(*pieces, (text[position:],))]

    def _values(self, name: str, *, in_path: bool) -> Values:
        if name in self._under_way:
            raise ValueError(f'the variable "{name}" is made of itself')
        if name not in self.variables:
            raise ValueError(_unknown(name, self.variables))
        self._under_way.append(name)
        try:
            values = tuple([text for value in self.variables[name] for text in self.expand(value)])
        finally:
            self._under_way.pop()
        self.used[name] = values
        return tuple([_in_path(value) for value in values]) if in_path else values


def _in_path(value: str) -> str:
    """As part of a path pattern; a slash at its end would be one too many before the next."""
    return _SPECIAL.sub(r"\\\1", value.rstrip("/"))


def _unknown(name: str, known: Variables) -> str:
    if name == "workspace":
        return "there is no workspace in /, where it would be everything: give it with --set workspace=FOLDER"
    close = difflib.get_close_matches(name, known, n=1)
    hint = f'; did you mean "{close[0]}"?' if close else "; give it under variables, or with --set"
    return f'there is no variable "{name}"{hint}'
