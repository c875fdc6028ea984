"""Parts of the model that can be kept in an index and taken up again (`tracer.frozen`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar


class Kept:
    """All of its fields are kept, but those that are `MADE_ANEW`."""

    MADE_ANEW: ClassVar[Mapping[str, Callable[[], Any]]] = MappingProxyType({})

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in self.MADE_ANEW}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        for name, make in self.MADE_ANEW.items():
            setattr(self, name, make())
