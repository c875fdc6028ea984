"""The probes compiled by BCC, for the kernel at hand; kept by their sources and its offsets."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracer.capture.fit import Layouts
from tracer.capture.kept import Kept
from tracer.capture.unit import Unit
from tracer.errors import KernelError

PYTHON = Path("/usr/bin/python3")  # Debian's own, where python3-bpfcc puts its module
COMPILER = Path(__file__).with_name("bcc.py")
INSTALL = "apt-get install python3-bpfcc libbpf-dev linux-libc-dev"
_SECONDS_MAX = 900  # an emulated processor takes minutes
_HEADERS = ("bpf/bpf_helpers.h", "linux/bpf.h", "asm/errno.h")
_INCLUDES = (f"/usr/include/{os.uname().machine}-linux-gnu", "/usr/include")
# libbpf's headers take the place of BCC's own, which want those of the kernel.
_FLAGS = (
    "-D__BPF_HELPERS_H",
    "-D_UAPI__LINUX_BPF_H__",
    "-w",
    *(flag for folder in _INCLUDES for flag in ("-idirafter", folder)),
)
# All that BCC and the probes want of kernel headers; BCC looks for the first to see whether there are any.
_KERNEL_SOURCE = {
    "linux/kconfig.h": "",
    "stdbool.h": "#define bool _Bool\n#define true 1\n#define false 0\n",
    "stddef.h": "#define NULL ((void *)0)\n",
}


@dataclass(frozen=True)
class Compiled:
    """`answers` to the unit's questions, by their names; `code` is the section that all functions are in."""

    answers: Mapping[str, int]
    code: bytes


def compile_unit(unit: Unit, layouts: Layouts, environment: Mapping[str, str] = os.environ) -> Compiled:
    """Raises KernelError when BCC is not there, or cannot compile."""
    text = unit.text(layouts)
    parts = (text, unit.sources, *_FLAGS, *_KERNEL_SOURCE.values(), COMPILER.read_text("utf-8"))
    kept = Kept(parts, environment)
    answer = kept.read()
    if answer is None:
        answer = run_compiler(text)
        kept.write(answer)
    names = unit.questions()
    return Compiled(dict(zip(names, answer["values"], strict=True)), bytes.fromhex(answer["code"]))


def run_compiler(text: str, flags: tuple[str, ...] = _FLAGS, kernel_source: Path | None = None) -> Any:
    """What `bcc.py` answers. `kernel_source` are headers to be used instead of next to none."""
    with tempfile.TemporaryDirectory(prefix="rubicon-") as folder:
        if kernel_source is None:
            kernel_source = _make_kernel_source(Path(folder))
        task = {"text": text, "flags": flags, "kernel_source": str(kernel_source)}
        try:
            done = subprocess.run(
                [PYTHON, "-I", COMPILER],
                input=json.dumps(task),
                capture_output=True,
                text=True,
                timeout=_SECONDS_MAX,
                check=False,
            )
        except OSError:
            raise KernelError(f"BCC is missing: {INSTALL}") from None
        except subprocess.TimeoutExpired:
            raise KernelError(f"BCC did not compile the probes within {_SECONDS_MAX} seconds") from None
    answer = json.loads(done.stdout) if done.returncode == 0 else {}
    if answer.get("missing"):
        raise KernelError(f"BCC is missing: {INSTALL}")
    if not answer:
        raise KernelError(f"BCC cannot compile the probes: {reason(done.stderr, INSTALL)}")
    return answer


def why_not() -> str:
    """Why BCC cannot be run, with the remedy; "" when it can."""
    try:
        done = subprocess.run([PYTHON, "-I", "-c", "import bcc"], capture_output=True, check=False)
    except OSError:
        return f"BCC is missing: {INSTALL}"
    missing = [each for each in _HEADERS if not any((Path(folder) / each).is_file() for folder in _INCLUDES)]
    return (
        f"{'BCC' if done.returncode else missing[0]} is missing: {INSTALL}"
        if done.returncode or missing
        else ""
    )


def _make_kernel_source(folder: Path) -> Path:
    for name, text in _KERNEL_SOURCE.items():
        path = folder / "include" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "ascii")
    return folder


def reason(said: str, remedy: str) -> str:
    """The first error of a compiler, or the last line of what a program says that fails.

    `remedy` gives the headers that it may not find.
    """
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line]
    first = (errors or lines[-1:] or ["it ended without a word"])[0]
    return f"{first} ({remedy})" if "file not found" in first else first
