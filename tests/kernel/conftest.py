"""A loaded source for each test, the trigger programs, and places to run them in."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.kernel.watching import TRIGGERS, Watch
from tracer.capture.bccsource import BccSource
from tracer.capture.core import CoreSource
from tracer.capture.preflight import kernel_layouts
from tracer.capture.probes import ProbeSource
from tracer.records import Act, BoundaryRecord, Flag, Kind, Record

_32_BITS = ("-m32", "-nostdlib", "-static", "-ffreestanding", "-fno-pie", "-no-pie", "-fno-stack-protector")
_FLAGS = {"i386": _32_BITS, "boundary32": _32_BITS}

# Set by scripts/matrix: all tests share one source; which tier and loader they are about.
ONE_SOURCE = "RUBICON_TEST_ONE_SOURCE"
TIER = "RUBICON_TEST_TIER"
LOADER = "RUBICON_TEST_LOADER"

Triggers = Callable[[str], Path]


@pytest.fixture(scope="session")
def triggers(tmp_path_factory: pytest.TempPathFactory) -> Triggers:
    """Builds the C program of that name, once."""
    folder = tmp_path_factory.mktemp("triggers")

    def build(name: str) -> Path:
        program = folder / name
        if not program.exists():
            flags = _FLAGS.get(name, ("-pthread",))
            command = ["gcc", "-O1", "-Wall", *flags, "-o", program, TRIGGERS / f"{name}.c"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        return program

    return build


def _how_long(fixture_name: str, config: pytest.Config) -> Literal["session", "function"]:
    """Loading takes seconds where the processor is emulated: there, all tests share one source."""
    return "session" if os.environ.get(ONE_SOURCE) else "function"


def new_source(**options: Any) -> ProbeSource:
    """The one that these tests are about; to be closed."""
    if os.environ.get(LOADER) == "bcc":
        return BccSource(kernel_layouts(), **options)
    return CoreSource(tier=os.environ.get(TIER, ""), **options)


@pytest.fixture(scope=_how_long)
def source() -> Iterator[ProbeSource]:
    source = new_source()
    try:
        yield source
    finally:
        source.close()


@pytest.fixture
def watch(source: ProbeSource, triggers: Triggers) -> Watch:
    if os.environ.get(ONE_SOURCE):
        settle(source)
    return Watch(source, triggers)


@pytest.fixture
def fresh_watch(triggers: Triggers) -> Iterator[Watch]:
    """With a source of its own, for a test that loses records, or tells it what it does not forget."""
    source = new_source()
    try:
        yield Watch(source, triggers)
    finally:
        source.close()


@pytest.fixture
def guarding(triggers: Triggers) -> Iterator[Watch]:
    """With what refuses and kills, which lets everything pass until it is told otherwise."""
    source = new_source(guarding=True, cgroups=cgroup2_mount())
    try:
        yield Watch(source, triggers)
    finally:
        source.close()


def settle(source: ProbeSource) -> None:
    """Until what an earlier test left has ended: a kernel thread may hold a file a moment longer."""
    quiet = 0
    while quiet < 3:
        source.sweep()
        drained = source.drain()
        quiet = 0 if drained.bulk.records or drained.critical.records else quiet + 1
        time.sleep(0.02)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder to work in, by its real path, which is what the kernel walks."""
    return tmp_path.resolve()


@pytest.fixture(autouse=True)
def routes(request: pytest.FixtureRequest) -> Iterator[None]:
    """What the records of a test say of the routes it is marked with; for the report of scripts/matrix."""
    yield
    watch = next((each for each in request.node.funcargs.values() if isinstance(each, Watch)), None)
    for mark in request.node.iter_markers("route"):
        name, *what = mark.args
        found = evidence(watch.recorded if watch else [], what, **mark.kwargs)
        request.node.user_properties.append(("route", f"{name}: {found}"))


def evidence(records: Sequence[Record], what: Sequence[Kind | Act], *, failed: bool = False) -> str:
    """What the records of all those kinds and boundary acts, that succeeded or failed, were taken from."""
    flags = []
    for each in what:
        found = [record.flags for record in records if is_of(record, each) and (record.result < 0) == failed]
        if not found:
            return "not seen"
        flags += found
    return "seen, caller's words" if any(each & Flag.USER_EVIDENCE for each in flags) else "seen"


def is_of(record: Record, what: Kind | Act) -> bool:
    if isinstance(what, Act):
        return isinstance(record, BoundaryRecord) and record.act == what
    return record.kind == what


class Cgroup:
    """A cgroup v2 leaf of a test's own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def id(self) -> int:
        return self.path.stat().st_ino

    def remove(self) -> None:
        """Ends whatever is still in it, and waits until it is empty."""
        (self.path / "cgroup.kill").write_text("1")
        with open(self.path / "cgroup.events") as events:
            poll = select.poll()
            poll.register(events, select.POLLPRI)
            while "populated 1" in events.read():
                poll.poll(1000)
                events.seek(0)
        self.path.rmdir()


def cgroup2_mount() -> Path | None:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[fields.index("-") + 1] == "cgroup2":
            return Path(fields[4])
    return None


@pytest.fixture
def new_cgroup() -> Iterator[Callable[[str], Cgroup]]:
    """Makes cgroups; they are gone when the test ends, however it ends."""
    mount = cgroup2_mount()
    if mount is None:
        pytest.skip("this machine has no cgroup v2 mount")
    made: list[Cgroup] = []

    def make(name: str) -> Cgroup:
        cgroup = Cgroup(mount / f"rubicon-test-{os.getpid()}-{name}")
        cgroup.path.mkdir()
        made.append(cgroup)
        return cgroup

    try:
        yield make
    finally:
        for cgroup in reversed(made):
            cgroup.remove()
