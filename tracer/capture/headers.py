"""Where the kernel keeps what, from its own headers: for a kernel that has no type information (BTF).

    probes/from_headers.h, a pointer to each struct of probes/kernel.h
        -> clang, for this machine, with the kernel's headers -> LLVM's notation
        -> clang, for BPF: it alone writes BTF                -> kernel_layouts

Two steps, as clang understands the assembler in the kernel's headers only when it compiles for their machine.
Which folders hold headers, and what is included before all else: LINUXINCLUDE in the kernel's Makefile.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tracer.capture.btf import Btf
from tracer.capture.compiled import reason
from tracer.capture.cstructs import enums, without_comments
from tracer.capture.fit import wanted
from tracer.capture.kept import Kept
from tracer.capture.kernel_layouts import CONFIGURED, BtfLayouts, headers_remedy
from tracer.capture.libbpf import Object
from tracer.errors import KernelError

SOURCES = Path(__file__).resolve().parents[2] / "probes"
_INCLUDED_FIRST = ("compiler-version.h", "kconfig.h", "compiler_types.h")
_ARCHITECTURES = {"x86_64": "x86", "aarch64": "arm64"}  # SRCARCH in the kernel's Makefile
_FLAGS = (
    *("-nostdinc", "-std=gnu11", "-fshort-wchar", "-fms-extensions", "-w", "-O1", "-g"),
    *("-D__KERNEL__", '-DKBUILD_MODNAME="rubicon"'),
)
# The machine that code is for; without it the second step takes its own.
_TARGET = re.compile(rb"^target (?:datalayout|triple) = .*$", re.MULTILINE)
_SECONDS_MAX = 300


def header_layouts(build: Path, environment: Mapping[str, str] = os.environ) -> BtfLayouts:
    """From the headers in a folder; kept by what they are. Raises KernelError when they do not compile."""
    text = probe_text((SOURCES / "kernel.h").read_text("ascii"))
    headers = (SOURCES / "from_headers.h", build / CONFIGURED)
    changed = (f"{path} {path.stat().st_mtime_ns}" for path in headers)
    kept = Kept((text, os.uname().version, *_FLAGS, *changed), environment)
    made = kept.read()
    if made is None:
        made = {"btf": compile_types(text, build).hex()}
        kept.write(made)
    return BtfLayouts(Btf(bytes.fromhex(made["btf"])), typed=False)


def probe_text(kernel_h: str) -> str:
    """With names of its own for types: of what others pointed to before, clang tells the name alone."""
    kinds = [f"struct {name}" for name in wanted(kernel_h)]
    kinds += [f"enum {name}" for name in enums(without_comments(kernel_h))]
    pointers = (f"typedef {kind} wanted_{n};\nwanted_{n} *pointer_{n};" for n, kind in enumerate(kinds))
    return "\n".join((f'#include "{SOURCES}/from_headers.h"', *pointers, ""))


def compile_types(text: str, build: Path) -> bytes:
    """The BTF of what the text points to. Raises KernelError."""
    with tempfile.TemporaryDirectory(prefix="rubicon-") as folder:
        made = Path(folder) / "types.o"
        code = _clang(text.encode(), *_flags(build), "-x", "c", "-", "-S", "-emit-llvm", "-o", "-")
        _clang(_TARGET.sub(b"", code), "--target=bpf", "-w", "-g", "-x", "ir", "-", "-c", "-o", str(made))
        types = Object(made)
        try:
            return types.btf()
        finally:
            types.close()


def _flags(build: Path) -> Iterator[str]:
    architecture = _ARCHITECTURES.get(os.uname().machine, os.uname().machine)
    trees = _trees(build)
    yield from _FLAGS
    yield from ("-isystem", f"{_clang(b'', '-print-resource-dir').decode().strip()}/include")
    places = (f"arch/{architecture}/include", "include")
    for kind in ("", "/generated", "/uapi", "/generated/uapi"):
        yield from (f"-I{tree}/{place}{kind}" for place in places for tree in trees)
    for name in _INCLUDED_FIRST:
        for tree in trees:
            if (path := tree / "include/linux" / name).is_file():
                yield from ("-include", str(path))
                break


def _trees(build: Path) -> Sequence[Path]:
    """What was made for this kernel, and what it shares with others: Debian keeps them apart."""
    source = build.parent / "source"
    return (build, source) if source.is_dir() else (build,)


def _clang(given: bytes, *arguments: str) -> bytes:
    try:
        done = subprocess.run(
            ("clang", *arguments), input=given, capture_output=True, timeout=_SECONDS_MAX, check=False
        )
    except OSError:
        raise KernelError(f"clang is missing: {headers_remedy()}") from None
    except subprocess.TimeoutExpired:
        raise KernelError(f"clang had not read the kernel's headers in {_SECONDS_MAX} seconds") from None
    if done.returncode:
        said = reason(done.stderr.decode("utf-8", "replace"), headers_remedy())
        raise KernelError(f"the kernel's headers do not tell where it keeps what: {said}")
    return done.stdout
