"""What a case is: programs that a rule has to tell of, and others, nearly the same, that it must not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """Each program in Python, with what `prelude.py` has; `prelude` is what all of this case share."""

    triggers: list[str]
    near: list[str]
    prelude: str = ""
