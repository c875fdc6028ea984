"""Tables that programs write into a README, each between two marks of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def write_between(readme: Path, begin: str, end: str, lines: Sequence[str]) -> None:
    """Raises ValueError when the marks are not there."""
    before, _begin, rest = readme.read_text().partition(begin)
    _old, end, after = rest.partition(end)
    if not end:
        raise ValueError(f"{readme} has no place for the table: {begin} ... {end}")
    readme.write_text("\n".join((before + begin, *lines, end + after)))
