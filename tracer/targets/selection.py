"""Containers by what they are, not by name: those that run, and those that will."""

from __future__ import annotations

from dataclasses import dataclass

from tracer.targets.container import Container


@dataclass(frozen=True, slots=True)
class Selection:
    """Which containers: all of them, or those that have all these labels."""

    every: bool = False
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def wanted(self) -> bool:
        return self.every or bool(self.labels)

    def words(self) -> list[str]:
        """As targets are named."""
        labels = [f"label:{key}={value}" for key, value in self.labels]
        return labels or (["all-containers"] if self.every else [])

    def takes(self, container: Container) -> bool:
        return self.every or all(container.labels.get(key) == value for key, value in self.labels)
