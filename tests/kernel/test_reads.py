"""file.bpf.c: opens for reading are told where somebody asks for such names, and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.watching import Watch, opened
from tracer.capture import ReadOf

LONG = "n" * 70  # longer than a name is looked at


@pytest.fixture
def asking(watch: Watch) -> Iterator[Watch]:
    watch.source.tell_reads(
        {
            "secret": ReadOf.FILE,
            ".keys": ReadOf.FOLDER,
            "both": ReadOf.FILE | ReadOf.FOLDER,
            LONG: ReadOf.FILE,
        }
    )
    yield watch
    watch.source.tell_reads({})


def read_all(watch: Watch, here: Path, *names: str) -> list[str]:
    """What was told of opening these for reading, each once."""
    for name in names:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).touch()
    run = watch.python(f"for name in {names!r}: os.close(os.open(name, os.O_RDONLY))", cwd=here)
    assert {each.open_flags & os.O_ACCMODE for each in run.opens} <= {os.O_RDONLY}
    return [os.path.relpath(path, here) for path, _result in opened(run.opens)]


def test_files_by_name(asking: Watch, here: Path) -> None:
    assert read_all(asking, here, "secret", "deep/er/secret", "both", "secrets", "Secret", ".keys") == [
        "secret",
        "deep/er/secret",
        "both",
    ]


def test_folders_by_name(asking: Watch, here: Path) -> None:
    names = [".keys/a", ".keys/1/2/3/a", "both/a"]
    assert read_all(asking, here, *names, ".keys/1/2/3/4/a", "secret/a", ".keys2/a") == names


def test_long_names(asking: Watch, here: Path) -> None:
    assert read_all(asking, here, LONG, LONG[:62]) == [LONG]


def test_whoever_has_a_name_through_a_link_is_known_by_its_own(asking: Watch, here: Path) -> None:
    (here / "secret").touch()
    (here / "link").symlink_to("secret")
    run = asking.python("os.close(os.open('link', os.O_RDONLY))", cwd=here)
    assert [path for path, _result in opened(run.opens)] == [f"{here}/secret"]


def test_what_reads_nothing(asking: Watch, here: Path) -> None:
    (here / "secret").touch()
    (here / ".keys").mkdir()
    run = asking.python(
        "os.close(os.open('secret', os.O_PATH)); os.close(os.open('.keys', os.O_RDONLY)); os.stat('secret')",
        cwd=here,
    )
    assert run.opens == []


def test_nobody_asks(watch: Watch, here: Path) -> None:
    assert read_all(watch, here, "secret", ".keys/a") == []
