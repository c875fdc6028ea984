"""The fields of a context record. A trace may come from anybody: each is checked when it is read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from tracer.errors import TraceError


def number(record: Mapping[str, Any], field: str, default: int | None = None) -> int:
    """A whole number from 0 to 2**64 - 1. Raises TraceError when it is none, or missing without a default."""
    value = record.get(field, default)
    if type(value) is not int or not 0 <= value < 1 << 64:
        raise _fault(record, field, "a whole number")
    return value


def text(record: Mapping[str, Any], field: str, default: str | None = None) -> str:
    """Text that `os.fsencode` can turn into the bytes it stands for. Raises TraceError when it is none."""
    value = record.get(field, default)
    if not isinstance(value, str) or not _is_encodable(value):
        raise _fault(record, field, "text")
    return value


def texts(record: Mapping[str, Any], field: str) -> tuple[str, ...]:
    """A list of texts, empty when it is missing. Raises TraceError when it is anything else."""
    value = record.get(field, ())
    if not isinstance(value, list | tuple):
        raise _fault(record, field, "a list of texts")
    if not all(isinstance(item, str) and _is_encodable(item) for item in value):
        raise _fault(record, field, "a list of texts")
    return tuple(value)


def _is_encodable(value: str) -> bool:
    """Whether its surrogates are those of PEP 383, which stand for one byte each."""
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        return False
    return True


def _fault(record: Mapping[str, Any], field: str, wanted: str) -> TraceError:
    return TraceError(f"the {field!r} of a {record.get('type')!r} record is not {wanted}")
