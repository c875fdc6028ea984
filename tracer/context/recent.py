"""Memory with a bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Keeps at least the last `limit` entries put in or asked for, at most twice as many.

    Two generations: when the young one is full it becomes the old one, and the old one is forgotten. So no
    entry costs more than a dictionary's does, which cannot be said of removing the oldest key of a `dict`.
    With `weigh` an entry may count as more than one, when what it holds is large; then fewer are kept.
    """

    __slots__ = ("_limit", "_old", "_weigh", "_weight", "_young")

    def __init__(self, limit: int, weigh: Callable[[V], int] | None = None) -> None:
        self._limit = limit
        self._weigh = weigh
        self._weight = 0
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._young) + sum(key not in self._young for key in self._old)

    def get(self, key: K) -> V | None:
        value = self._young.get(key)
        if value is None and (value := self._old.pop(key, None)) is not None:
            self.put(key, value)
        return value

    def put(self, key: K, value: V) -> None:
        if self._weight >= self._limit:
            self._old, self._young, self._weight = self._young, {}, 0
        self._young[key] = value
        self._weight += self._weigh(value) if self._weigh else 1

    def discard(self, key: K) -> None:
        self._young.pop(key, None)
        self._old.pop(key, None)
