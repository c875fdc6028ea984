"""One sandbox of each kind, driven the same way: started, told what to do, ended."""

from __future__ import annotations

import json
import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from tracer.targets.cgroups import mount_point
from tracer.targets.grpc import mapping

from .conftest import Spawn
from .driver import state, until
from .runtimes import Containerd, Docker, Pod, Podman, make_image

POD_UID = "87654321-09ba-dcfe-4321-0987654321fe"


class Box(ABC):
    """`word` is what `attach` takes, `pid` its first process, `root` the prefix of its paths as the kernel
    has them, `container` what its events say of it.
    """

    word = ""
    root = ""
    pid = 0
    environment: dict[str, str] = {}  # noqa: RUF012  never changed in place
    container: dict[str, str] = {}  # noqa: RUF012

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def do(self, script: str) -> str:
        """Run lines of a shell in it; what they wrote on stdout and stderr."""

    def end(self) -> None:  # noqa: B027  nothing, where the fixture of the runtime does it
        """Take it away."""

    def lives(self) -> bool:
        with suppress(OSError):
            return state(self.pid) not in "ZX"
        return False


class EngineBox(Box):
    """A container of Docker or Podman, whose command lines are the same."""

    def __init__(self, engine: Docker | Podman) -> None:
        self._engine = engine
        self.word = f"{engine.name}:web"
        self.environment = engine.environment

    def start(self) -> None:
        container = self._engine.run("web", "sleep", "1000")
        self.pid = int(self._engine.do("inspect", "--format", "{{.State.Pid}}", "web"))
        self.container = {"id": container, "name": "web", "runtime": self._engine.name}

    def do(self, script: str) -> str:
        return self._engine.do("exec", "web", "sh", "-c", f"{{ {script}\n}} 2>&1; true")


class ContainerdBox(Box):
    word = "containerd:box-1"
    container = {"id": "box-1", "name": "box-1", "runtime": "containerd"}  # noqa: RUF012

    def __init__(self, containerd: Containerd) -> None:
        self._containerd = containerd
        self.environment = containerd.environment

    def start(self) -> None:
        self._containerd.run("box-1", "sleep", "1000")
        (line,) = self._containerd.do("task", "list").splitlines()[1:]
        self.pid = int(line.split()[1])

    def do(self, script: str) -> str:
        return self._containerd.exec("box-1", "sh", "-c", f"{{ {script}\n}} 2>&1; true")


class PodBox(Box):
    word = "pod:training/agent-1"

    def __init__(self, containerd: Containerd) -> None:
        self._pod = Pod(containerd, "agent-1", "training", POD_UID)
        self.environment = containerd.environment

    def start(self) -> None:
        self._pod.start()
        container = self._pod.run("agent", "/bin/sleep", "1000")
        said = self._pod.containerd.cri.ask("ContainerStatus", {1: container, 2: 1})
        self.pid = int(json.loads(mapping(said, 2)["info"])["pid"])
        self.container = {"id": container, "name": "agent", "runtime": "containerd"}

    def do(self, script: str) -> str:
        return self._pod.exec(self.container["id"], "/bin/sh", "-c", f"{{ {script}\n}} 2>&1; true")


class _Piped(Box):
    """A shell that reads its lines from us."""

    def __init__(self, spawn: Spawn, folder: Path) -> None:
        self._spawn = spawn
        self._folder = folder
        make_image(folder)
        (folder / "image/dev").mkdir()
        self._said = count(1)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def image(self) -> Path:
        return self._folder / "image"

    def do(self, script: str) -> str:
        number = next(self._said)
        assert self._process
        assert self._process.stdin
        out = f"{self.root}/tmp/out-{number}"
        line = f"{{ {script}\n}} >{out} 2>&1; {self.root}/bin/busybox ln -s x {out}.done\n"
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()
        until(lambda: os.path.lexists(self.image / f"tmp/out-{number}.done"), f"{script!r} to be done")
        return (self.image / f"tmp/out-{number}").read_text().strip()


class BubblewrapBox(_Piped):
    """Its first process stays outside of its namespaces."""

    def start(self) -> None:
        command = [
            "bwrap",
            "--bind",
            self.image,
            "/",
            "--dev",
            "/dev",
            "--proc",
            "/proc",
            "--unshare-all",
            "sh",
        ]
        self._process = self._spawn(*command)
        self.pid = self._process.pid
        self.word = f"pid:{self.pid}"
        self.do("true")

    def lives(self) -> bool:
        assert self._process
        return self._process.poll() is None


class UnitBox(_Piped):
    """A service, as systemd lays it out: a cgroup of its name; `do` has it start a program."""

    word = "unit:boxed"

    def start(self) -> None:
        root = mount_point()
        assert root
        self.root = str(self.image)
        self._unit = root / f"rubicon-boxes-{os.getpid()}.slice/boxed.service"
        self._unit.mkdir(parents=True)
        self._process = self._spawn(self.image / "bin/busybox", "sh")
        self.pid = self._process.pid
        (self._unit / "cgroup.procs").write_text(str(self.pid))

    def lives(self) -> bool:
        assert self._process
        return self._process.poll() is None

    def end(self) -> None:
        with suppress(OSError):
            (self._unit / "cgroup.kill").write_text("1")
        until(lambda: not (self._unit / "cgroup.procs").read_text(), "the unit to be empty")
        self._unit.rmdir()
        self._unit.parent.rmdir()


# The fixture that gives each what it is made of, and how.
_MADE: dict[str, tuple[str, Callable[[Any], Box]]] = {
    "docker": ("docker", EngineBox),
    "podman": ("podman", EngineBox),
    "containerd": ("containerd", ContainerdBox),
    "pod": ("containerd", PodBox),
}
_PIPED: dict[str, type[_Piped]] = {"unit": UnitBox, "bubblewrap": BubblewrapBox}
CONTAINERS = tuple(_MADE)
KINDS = (*CONTAINERS, *_PIPED)


def make(kind: str, request: Any) -> Box:
    """`request` is pytest's: the runtime is started by its fixture."""
    if piped := _PIPED.get(kind):
        return piped(request.getfixturevalue("spawn"), request.getfixturevalue("tmp_path"))
    fixture, box = _MADE[kind]
    return box(request.getfixturevalue(fixture))


def stands_still(pid: int) -> bool:
    """By a cgroup of either version, or stopped."""
    if state(pid) == "T":
        return True
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _number, controllers, path = line.split(":", 2)
        for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", f"/sys/fs/cgroup/{controllers}"):
            for name, word in (("cgroup.events", "frozen 1"), ("freezer.state", "FROZEN")):
                with suppress(OSError):
                    if word in Path(root, path.lstrip("/"), name).read_text():
                        return True
    return False


class Footprint:
    """What a session could leave around a sandbox."""

    def __init__(self, box: Box) -> None:
        keys = [box.container.get("id") or box.root or f"/proc/{box.pid}/"]
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        self.facts = {
            "cgroups": sorted(
                folder
                for folder, _folders, _files in os.walk("/sys/fs/cgroup")
                if any(key in folder for key in keys)
            ),
            "frozen": stands_still(box.pid),
            "mounts": sorted(line.split(" - ")[0] for line in mounts if any(key in line for key in keys)),
            "namespaces": [
                os.readlink(f"/proc/{box.pid}/ns/{name}") for name in os.listdir(f"/proc/{box.pid}/ns")
            ],
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Footprint) and self.facts == other.facts

    __hash__ = None  # type: ignore[assignment]  # what it is changes
