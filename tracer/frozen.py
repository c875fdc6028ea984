"""Objects <-> bytes: what a reader of a trace has made of it so far, to go on from there another time.

It is pickled, and comes out again as nothing but data: only the classes below can, and functions that weigh
an entry of a `Recent`. All the same it is only for files that nobody but this user can have written
(`tracer.trace.index`), since what is in them is believed.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import pickle
from enum import Enum, EnumType
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any, cast

# Modules whose classes hold data and do nothing when they are made.
_MODULES = frozenset(
    {
        "tracer.events", "tracer.pipeline", "tracer.trace.blocks",
        "tui.around", "tui.forest", "tui.logs", "tui.minutes", "tui.rates", "tui.snapshot", "tui.traffic",
        "tui.written",
    }
)  # fmt: skip
_FOLDER = "tracer.context."
_WEIGHTS = frozenset({"_weight_of_life", "_weight_of_facts"})
_PLAIN = frozenset(
    {
        ("array", "_array_reconstructor"),
        ("array", "array"),
        ("builtins", "set"),
        ("builtins", "frozenset"),
        ("builtins", "bytearray"),
        ("collections", "Counter"),
        ("collections", "deque"),
    }
)


@cache
def code_fingerprint(root: Path = Path(__file__).parents[1]) -> str:
    """Tells this code from any that may have other classes: what one freezes only itself can thaw."""
    digest = hashlib.sha256()
    for path in sorted((*root.glob("tracer/**/*.py"), *root.glob("tui/**/*.py"))):
        facts = path.stat()
        digest.update(f"{path.relative_to(root)} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:32]


class NotDataError(pickle.UnpicklingError):
    """The bytes ask for something that is not data."""


def freeze(thing: object) -> bytes:
    """Raises pickle.PicklingError, RecursionError for what goes too deep."""
    return pickle.dumps(thing, protocol=5)


def thaw(data: bytes) -> Any:
    """Raises NotDataError, or whatever else bytes that were not made by `freeze` lead to."""
    return _Unpickler(io.BytesIO(data)).load()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _PLAIN:
            return super().find_class(module, name)
        if (module, name) == ("builtins", "getattr"):
            return _member
        if module in _MODULES or module.startswith(_FOLDER):
            found = getattr(importlib.import_module(module), name, None)
            is_data = isinstance(found, type) or (isinstance(found, FunctionType) and name in _WEIGHTS)
            if is_data and found.__module__ == module:
                return found
        raise NotDataError(f"{module}.{name}")


def _member(kind: object, name: str) -> Enum:
    """By this a member of an enumeration is pickled."""
    if isinstance(kind, EnumType):
        return cast("type[Enum]", kind)[name]
    raise NotDataError(f"a part of {kind!r}")
