"""The BCC loader itself. The other tests of this tier run with it, too: RUBICON_TEST_LOADER=bcc."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.kernel.conftest import LOADER
from tracer.capture import compiled
from tracer.capture.bccsource import UNSEEN_BY_BCC, BccSource
from tracer.capture.compiled import run_compiler, why_not
from tracer.capture.core import CoreSource
from tracer.capture.fit import wanted
from tracer.capture.headers import SOURCES, header_layouts
from tracer.capture.kernel_layouts import find_headers
from tracer.capture.preflight import KERNEL_BTF, kernel_layouts
from tracer.errors import KernelError

# Of what the kernel keeps to its sources, what every kernel since 6.1 has.
NEEDED = ("mount", "mnt_namespace", "proc_inode", "io_open", "io_rename", "io_sr_msg", "io_async_msghdr")


@pytest.mark.skipif(not KERNEL_BTF.exists(), reason="this kernel has no BTF, which core needs")
@pytest.mark.heavy
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


@pytest.mark.short
@pytest.mark.skipif(os.environ.get(LOADER) != "bcc", reason="this machine looks at headers with BCC alone")
@pytest.mark.skipif(find_headers() is None, reason="this machine has no headers of its kernel")
@pytest.mark.skipif(not KERNEL_BTF.exists(), reason="this kernel has no BTF to hold its headers against")
def test_the_same_places_from_headers() -> None:
    headers = find_headers()
    assert headers
    by_headers, by_btf = header_layouts(headers), kernel_layouts()
    for struct, fields in wanted((SOURCES / "kernel.h").read_text()).items():
        for field in fields if by_headers.struct_bytes(struct) else ():
            assert by_headers.offset(struct, field) == by_btf.offset(struct, field), f"{struct}.{field}"
    assert by_headers.number("cgroup_subsys_id", "pids_cgrp_id") == by_btf.number(
        "cgroup_subsys_id", "pids_cgrp_id"
    )
    unknown = {struct for struct in NEEDED if not by_headers.struct_bytes(struct)}
    assert unknown == set()


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
