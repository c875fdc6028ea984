"""Where a kernel keeps what, by its headers: a made-up tree of them, and the compiler itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tracer.capture import bccsource, headers, preflight
from tracer.capture.btf import Btf
from tracer.capture.fit import Layouts
from tracer.capture.headers import compile_types, header_layouts, probe_text
from tracer.capture.kernel_layouts import BtfLayouts, find_headers
from tracer.capture.preflight import BTF_VARIABLE, kernel_layouts, open_source
from tracer.errors import KernelError

KERNEL_H = """
enum subsys_id {
	pids_id = 11,
};

struct task {
	int pid;	/* and more */
	struct cred *cred;
};

struct cred {
	u32 uid;
};

struct cred___old {
	u32 gone;
};

struct private {
	int x;
};
"""
# A field within a union, a struct that is pointed to before it is declared, assembler that is not BPF's, and
# a number that depends on the configuration.
TYPES_H = """
#include <linux/config.h>
#include <asm/own.h>
struct cred;
struct task { long state; union { struct cred *cred; void *other; }; int pid; };
struct cred { long usage; unsigned uid; };
enum subsys_id { first_id, HAS_OTHERS pids_id };
static inline int one(void) { int x = 0; asm volatile("incl %%eax" : "=a" (x) : "a" (x)); return x; }
"""


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """As Debian installs them: what was made for the kernel, and beside it what it shares with others."""
    modules = tmp_path / "modules" / os.uname().release
    files = {
        "build/include/generated/autoconf.h": "",
        "build/include/linux/config.h": "#define HAS_OTHERS second_id, third_id,\n",
        "source/include/linux/kconfig.h": "",
        "source/include/linux/compiler-version.h": "",
        "source/include/linux/compiler_types.h": "",
        "source/arch/x86/include/asm/own.h": "",
        "source/arch/arm64/include/asm/own.h": "",
        "source/include/linux/types_of.h": TYPES_H,
    }
    for name, text in files.items():
        path = modules / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return modules / "build"


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In the place of our own probes/."""
    folder = tmp_path / "probes"
    folder.mkdir()
    (folder / "kernel.h").write_text(KERNEL_H)
    (folder / "from_headers.h").write_text("#include <linux/types_of.h>\n")
    monkeypatch.setattr(headers, "SOURCES", folder)
    return folder


def places(layouts: Layouts) -> list[int | None]:
    return [
        layouts.struct_bytes("task"),
        layouts.offset("task", "pid"),
        layouts.offset("task", "cred"),
        layouts.offset("cred", "uid"),
        layouts.offset("cred", "gone"),
        layouts.struct_bytes("private"),
        layouts.number("subsys_id", "pids_id"),
    ]


def test_the_compiler_tells_where_each_field_is(build: Path, sources: Path) -> None:
    types = BtfLayouts(Btf(compile_types(probe_text(KERNEL_H), build)))
    assert places(types) == [24, 16, 8, 8, None, None, 3]


def test_headers_that_are_all_in_one_place(build: Path, sources: Path) -> None:
    os.rename(build.parent / "source/arch", build / "arch")
    for each in (build.parent / "source/include/linux").iterdir():
        os.rename(each, build / "include/linux" / each.name)
    os.rename(build.parent / "source", build.parent / "other")
    assert places(BtfLayouts(Btf(compile_types(probe_text(KERNEL_H), build))))[1] == 16


def test_compiled_once(build: Path, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path)}
    first = header_layouts(build, environment)
    with monkeypatch.context() as without:
        without.setattr(headers, "compile_types", None)
        assert places(header_layouts(build, environment)) == places(first)
    (build / "include/generated/autoconf.h").unlink()  # as an upgrade does
    (build / "include/generated/autoconf.h").write_text("")
    (build / "include/linux/config.h").write_text("#define HAS_OTHERS\n")
    assert header_layouts(build, environment).number("subsys_id", "pids_id") == 1


def test_types_that_are_only_the_probes_own(build: Path, sources: Path, tmp_path: Path) -> None:
    assert not header_layouts(build, {"XDG_CACHE_HOME": str(tmp_path)}).typed


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("#include <linux/none.h>\n", r"'linux/none.h' file not found \(apt-get install linux-headers-"),
        ("#error older than 6.1\n#include <linux/none.h>\n", r"error: older than 6\.1$"),
    ],
)
def test_headers_that_do_not_do(source: str, said: str, build: Path, sources: Path) -> None:
    (sources / "from_headers.h").write_text(source)
    with pytest.raises(KernelError, match=f"^the kernel's headers do not tell where it keeps what: .*{said}"):
        compile_types(probe_text(KERNEL_H), build)


def test_without_clang(build: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KernelError, match=r"^clang is missing: apt-get install linux-headers-\S+ clang$"):
        compile_types(probe_text(KERNEL_H), build)


def test_where_headers_are(build: Path, tmp_path: Path) -> None:
    assert find_headers(build.parents[1]) == build
    assert find_headers(tmp_path) is None
    (build / "include/generated/autoconf.h").unlink()
    assert find_headers(build.parents[1]) is None


def test_headers_count_where_there_is_no_type_information(
    build: Path, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "find_headers", lambda: build)
    environment = {BTF_VARIABLE: str(tmp_path / "none"), "XDG_CACHE_HOME": str(tmp_path)}
    assert places(kernel_layouts(environment))[1] == 16
    opened = []
    monkeypatch.setattr(preflight, "effective_capabilities", lambda: 1 << 21)
    monkeypatch.setattr(bccsource, "BccSource", lambda layouts, **_: opened.append(layouts))
    for loader in ("auto", "bcc"):
        open_source(loader, environment)
    assert [each.typed for each in opened] == [False, False]
    with pytest.raises(KernelError, match="which this loader needs; --loader bcc takes the kernel's"):
        open_source("core", environment)


@pytest.mark.parametrize("loader", ["auto", "core", "bcc"])
def test_neither_type_information_nor_headers(
    loader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "effective_capabilities", lambda: 1 << 21)
    monkeypatch.setattr(preflight, "find_headers", lambda: None)
    said = r"^no kernel type information \(BTF\) at \S+ and no kernel headers at /lib/modules/\S+: apt-get"
    with pytest.raises(KernelError, match=said):
        open_source(loader, {BTF_VARIABLE: str(tmp_path / "none")})
