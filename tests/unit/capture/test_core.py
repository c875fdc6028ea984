"""core.py: how the probes are loaded."""

from __future__ import annotations

import pytest

from tracer.capture.core import CoreSource
from tracer.capture.libbpf import Object
from tracer.errors import KernelError


def test_a_load_that_fails_is_done_again_to_hear_why(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = []

    def refuse(self: Object, *, listen: bool) -> None:
        heard.append(listen)
        raise KernelError("the kernel refused the probes" + (" (the stack is too large)" if listen else ""))

    monkeypatch.setattr(Object, "load", refuse)
    with pytest.raises(KernelError, match="the stack is too large"):
        CoreSource(tier="B")
    assert heard == [False, True]
