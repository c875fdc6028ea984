"""What stands still by our doing, scope by scope, and the file that says so (`kept`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from tracer.actions.freeze import Frozen, freeze_scope, thaw
from tracer.actions.kept import Kept
from tracer.actions.scope import Scope


class Held:
    """Scopes have numbers. Not for several threads at once."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._frozen: dict[int, Frozen] = {}

    def __iter__(self) -> Iterator[int]:
        return iter(tuple(self._frozen))

    def __len__(self) -> int:
        return len(self._frozen)

    def freeze(self, number: int, scope: Scope) -> Frozen:
        """Raises OSError when not all of it can be; what could be stands still, and is held."""

        def keep(frozen: Frozen) -> None:
            if frozen:
                self._frozen[number] = frozen
            self._kept.keep(self._all())

        try:
            return freeze_scope(scope, keep)
        finally:
            if not self._frozen:
                self._kept.forget()

    def thaw(self, number: int) -> None:
        """Raises OSError when something cannot be thawed: the file goes on to name it."""
        thaw(self._frozen.pop(number))
        if not self._frozen:
            self._kept.forget()
            return
        with suppress(OSError):  # it names more than stands still, which does no harm
            self._kept.keep(self._all())

    def _all(self) -> Frozen:
        frozen = self._frozen.values()
        return Frozen(
            tuple(folder for each in frozen for folder in each.folders),
            tuple(task for each in frozen for task in each.tasks),
        )
