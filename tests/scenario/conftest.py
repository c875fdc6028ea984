"""A Rubicon of the test's own, and things to watch; all of it is gone when the test ends."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

from .driver import SECONDS_MAX, Rubicon, until
from .runtimes import Containerd, Docker, Podman

Spawn = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(scope="session", autouse=True)
def _no_cgroups_left() -> Iterator[None]:
    """Runtimes leave the parents of their containers' cgroups: gone at the end, unless they were there."""
    before = _parents()
    yield
    for parent in _parents() - before:
        for folder, _folders, _files in os.walk(parent, topdown=False):
            with suppress(OSError):  # somebody is in it
                os.rmdir(folder)


def _parents() -> set[Path]:
    root = Path("/sys/fs/cgroup")
    names = ("docker", "default", "kubepods", "libpod_parent")
    return {path for name in names for path in (root / name, *root.glob(f"*/{name}")) if path.is_dir()}


@pytest.fixture
def rubicon(tmp_path: Path) -> Iterator[Rubicon]:
    rubicon = Rubicon(tmp_path.resolve())
    rubicon.work.mkdir()
    yield rubicon
    rubicon.close()


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Starts programs in sessions of their own, with no file open; what is left of these is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*argv: Any, **options: Any) -> subprocess.Popen[bytes]:
        options = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
        } | options
        process = subprocess.Popen(argv, start_new_session=True, **options)
        started.append(process)
        return process

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(SECONDS_MAX)
        for stream in (process.stdin, process.stdout):
            if stream:
                with suppress(BrokenPipeError):
                    stream.close()


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A cgroup v2 leaf; it and what runs in it are gone at the end."""
    from tracer.targets.cgroups import Leaf

    leaf = Leaf.make("test")
    if leaf is None:
        pytest.skip("this machine has no cgroup v2 hierarchy that can be written")
    try:
        yield leaf.path
    finally:
        with suppress(OSError):
            (leaf.path / "cgroup.kill").write_text("1")
        until(lambda: not (leaf.path / "cgroup.procs").read_text(), "the cgroup to be empty")
        leaf.path.rmdir()


Runtime = TypeVar("Runtime", Docker, Podman, Containerd)


def started(runtime: Runtime) -> Iterator[Runtime]:
    """One for all tests; each test finds it, and leaves it, without containers."""
    try:
        runtime.start()
        yield runtime
    finally:
        runtime.stop()


@pytest.fixture(scope="session")
def dockerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    yield from started(Docker(tmp_path_factory.mktemp("docker")))


@pytest.fixture
def docker(dockerd: Docker) -> Iterator[Docker]:
    yield dockerd
    dockerd.remove_all()


@pytest.fixture(scope="session")
def podmand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    yield from started(Podman(tmp_path_factory.mktemp("podman")))


@pytest.fixture
def podman(podmand: Podman) -> Iterator[Podman]:
    yield podmand
    podmand.remove_all()


@pytest.fixture(scope="session")
def containerdd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containerd]:
    yield from started(Containerd(tmp_path_factory.mktemp("containerd")))


@pytest.fixture
def containerd(containerdd: Containerd) -> Iterator[Containerd]:
    yield containerdd
    containerdd.remove_all()
