"""The BCC loader itself. The other tests of this tier run with it, too: RUBICON_TEST_LOADER=bcc."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracer.capture import compiled
from tracer.capture.bccsource import UNSEEN_BY_BCC, BccSource
from tracer.capture.compiled import run_compiler, why_not
from tracer.capture.core import CoreSource
from tracer.capture.preflight import kernel_layouts
from tracer.errors import KernelError


@pytest.mark.timeout(240)  # it may have to be compiled
def test_the_same_records_by_both_loaders() -> None:
    by_bcc = BccSource(kernel_layouts())
    try:
        by_core = CoreSource()
        by_core.close()
    finally:
        by_bcc.close()
    assert by_bcc.abi == by_core.abi
    assert (by_bcc.loader, by_core.loader) == ("bcc", "core")
    assert [each for each in by_bcc.unseen if each not in by_core.unseen][-1:] == list(UNSEEN_BY_BCC)


def test_bcc_is_here() -> None:
    assert why_not() == ""


def test_without_bcc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nexec /usr/bin/python3 -S "$@"\n')  # without the system's packages
    python.chmod(0o755)
    monkeypatch.setattr(compiled, "PYTHON", python)
    assert why_not().startswith("BCC is missing: apt-get install python3-bpfcc")
    with pytest.raises(KernelError, match=r"^BCC is missing: apt-get install python3-bpfcc"):
        run_compiler("int rubicon(void *ctx) { return 0; }")


def test_without_pythons_own_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(compiled, "PYTHON", tmp_path / "none")
    assert why_not().startswith("BCC is missing: ")
    with pytest.raises(KernelError, match=r"^BCC is missing: "):
        run_compiler("")


def test_what_does_not_compile_says_where() -> None:
    with pytest.raises(KernelError, match=r"BCC cannot compile the probes: .*error: unknown type name 'u99'"):
        run_compiler("u99 x;")
