"""What BCC compiled is kept, for its owner alone."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tracer.capture import compiled
from tracer.capture.bccsource import SOURCES
from tracer.capture.compiled import compile_unit
from tracer.capture.unit import Unit
from tracer.errors import KernelError


class Layouts:
    """Of a kernel whose structs all have that many bytes."""

    typed = True

    def __init__(self, size: int) -> None:
        self._size = size

    def struct_bytes(self, struct: str) -> int | None:
        return self._size + len(struct)

    def offset(self, struct: str, field: str) -> int | None:
        return len(struct + field)

    def number(self, enum: str, name: str) -> int | None:
        return len(enum + name)


class Compiling:
    """The first run gives 1 for every answer, the second 2 ..."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, text: str) -> Any:
        self.runs += 1
        count = text.count("VALUE(") - 2  # the macro, and the end
        return {"values": [self.runs] * count, "code": "00ff"}


@pytest.fixture
def compiling(monkeypatch: pytest.MonkeyPatch) -> Compiling:
    compiling = Compiling()
    monkeypatch.setattr(compiled, "run_compiler", compiling)
    return compiling


def answer(folder: Path, size: int = 100) -> int:
    made = compile_unit(Unit(SOURCES), Layouts(size), {"XDG_CACHE_HOME": str(folder)})
    assert made.code == b"\0\xff"
    return made.answers["place on_exec"]


def kept(folder: Path) -> list[Path]:
    return list((folder / "rubicon/probes").iterdir())


def test_once_for_a_kernel(compiling: Compiling, tmp_path: Path) -> None:
    assert [answer(tmp_path), answer(tmp_path), answer(tmp_path, 200), answer(tmp_path)] == [1, 1, 2, 1]
    assert len(kept(tmp_path)) == 2


def test_once_for_the_sources(compiling: Compiling, tmp_path: Path) -> None:
    """Also for what they include, whose text is not in the one that is compiled."""
    sources = shutil.copytree(SOURCES, tmp_path / "probes", ignore=shutil.ignore_patterns("build"))
    environment = {"XDG_CACHE_HOME": str(tmp_path)}
    found = []
    for more in ("", "", "static int one_more;\n"):
        with open(sources / "file.bpf.c", "a") as file:
            file.write(more)
        found.append(compile_unit(Unit(sources), Layouts(100), environment).answers["place on_exec"])
    assert found == [1, 1, 2]


def test_for_its_owner_alone(compiling: Compiling, tmp_path: Path) -> None:
    answer(tmp_path)
    (path,) = kept(tmp_path)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_what_others_may_write_is_not_taken(mode: int, compiling: Compiling, tmp_path: Path) -> None:
    answer(tmp_path)
    kept(tmp_path)[0].chmod(mode)
    assert answer(tmp_path) == 2
    assert kept(tmp_path)[0].stat().st_mode & 0o777 == 0o600


def test_another_text_under_this_name_is_not_taken(compiling: Compiling, tmp_path: Path) -> None:
    answer(tmp_path)
    (path,) = kept(tmp_path)
    answer(tmp_path, 200)
    other = next(each for each in kept(tmp_path) if each != path)
    os.replace(other, path)
    assert answer(tmp_path) == 3


@pytest.mark.parametrize("content", ["", "nonsense", "[]", "{}", "7"])
def test_what_is_torn_is_not_taken(content: str, compiling: Compiling, tmp_path: Path) -> None:
    answer(tmp_path)
    kept(tmp_path)[0].write_text(content)
    assert answer(tmp_path) == 2


def test_nowhere_to_keep_it(compiling: Compiling, tmp_path: Path) -> None:
    (tmp_path / "rubicon").write_text("a file")
    assert [answer(tmp_path), answer(tmp_path)] == [1, 2]


def test_a_compiler_that_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(argv: list[str], **options: Any) -> Any:
        raise subprocess.TimeoutExpired(argv, options["timeout"])

    monkeypatch.setattr(compiled.subprocess, "run", run)
    with pytest.raises(KernelError, match="BCC did not compile the probes within 900 seconds"):
        compiled.run_compiler("")
