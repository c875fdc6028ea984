"""Container runtimes of the tests' own: daemons with sockets and data folders that nobody else uses."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from tracer.targets.cri import Runtime
from tracer.targets.grpc import fields, text

from .driver import ROOT, until

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
PASSWD = "root:x:0:0::/:/bin/sh\nagent:x:1000:1000::/:/bin/sh\n"
APPLETS = ("sh", "sleep", "cat", "touch", "true", "id", "nc", "sed", "setsid", "cp", "unshare", "nsenter")
SECONDS_MAX = 60


def make_image(folder: Path) -> Path:
    """A root file system of busybox, and of the demo's stand-in for ssh, as an archive."""
    root, archive = folder / "image", folder / "image.tar"
    for name in ("bin", "etc", "proc", "tmp"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for name in APPLETS:
        (root / "bin" / name).symlink_to("busybox")
    compiler = ["gcc", "-static", "-O1", "-o", root / "bin/ssh", ROOT / "scripts/demo_tool.c"]
    subprocess.run(compiler, check=True)
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text(PASSWD)
    with tarfile.open(archive, "w") as tar:
        tar.add(root, ".")
    return archive


def make_archive(layer: Path) -> Path:
    """The same as an image that `ctr images import` takes, in the form of `docker save`."""
    archive = layer.with_name("archive.tar")
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Entrypoint": ["/bin/sleep", "100000"]},
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(layer.read_bytes()).hexdigest()}"],
        },
    }
    manifest = [{"Config": "config.json", "RepoTags": ["docker.io/library/box:1"], "Layers": ["layer.tar"]}]
    with tarfile.open(archive, "w") as tar:
        tar.add(layer, "layer.tar")
        for name, content in (("config.json", config), ("manifest.json", manifest)):
            data = json.dumps(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return archive


class Daemon:
    """A program that serves; killed with all it started at the end."""

    def __init__(self, command: list[str | Path], log: Path, environment: dict[str, str]) -> None:
        with open(log, "wb") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=output, env=environment, start_new_session=True
            )

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(SECONDS_MAX)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@dataclass
class Engine(ABC):
    """A runtime with a place of its own for everything; `name` is what targets call it."""

    folder: Path
    daemons: list[Daemon] = field(default_factory=list, kw_only=True)
    name: ClassVar[str]

    @property
    def socket(self) -> Path:
        return self.folder / f"{self.name}.sock"

    @property
    @abstractmethod
    def program(self) -> str | Path:
        """Its command line."""

    @property
    @abstractmethod
    def environment(self) -> dict[str, str]: ...

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def remove_all(self) -> None: ...

    def serve(self, *command: str | Path) -> None:
        self.daemons.append(Daemon([*command], self.folder / f"{self.name}.log", self.environment))

    def ask(self, *argv: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.program, *argv],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )

    def do(self, *argv: str | Path) -> str:
        """What it says, without the end of the line."""
        done = self.ask(*argv)
        assert done.returncode == 0, f"{self.program} {argv}: {done.stderr}"
        return done.stdout.strip()

    def stop(self) -> None:
        self.remove_all()
        for daemon in self.daemons:
            daemon.stop()


@dataclass
class Docker(Engine):
    name = "docker"
    program = "/usr/bin/docker"

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": PATH, "HOME": str(self.folder), "DOCKER_HOST": f"unix://{self.socket}"}

    def start(self) -> None:
        self.serve(
            "/usr/sbin/dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none",
            "--storage-driver", "vfs", "--host", f"unix://{self.socket}",
            "--data-root", self.folder / "root", "--exec-root", self.folder / "exec",
            "--pidfile", self.folder / "pid",
        )  # fmt: skip
        until(lambda: self.socket.is_socket() and not self.ask("version").returncode, "dockerd to answer")
        self.do("import", make_image(self.folder), "box:1")

    def run(self, name: str, *command: str, options: tuple[str, ...] = ()) -> str:
        """Start a container; its id."""
        return self.do("run", "--detach", "--network", "none", "--name", name, *options, "box:1", *command)

    def remove_all(self) -> None:
        if names := self.ask("ps", "--all", "--quiet").stdout.split():
            self.ask("rm", "--force", *names)


@dataclass
class Podman(Engine):
    """A service, and a command that finds its place.

    With a `user` it is rootless: it runs as that user, who may see the folder.
    """

    name = "podman"
    user: int = 0

    @property
    def program(self) -> Path:
        return self.folder / "bin/podman"

    @property
    def environment(self) -> dict[str, str]:
        own = {"HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.folder / "user")}
        return {"PATH": PATH, **own, "CONTAINER_HOST": f"unix://{self.socket}"}

    def start(self) -> None:
        self.program.parent.mkdir()
        (self.folder / "user").mkdir(mode=0o700)
        archive = make_image(self.folder)
        for folder in (self.folder, self.folder / "user"):
            os.chown(folder, self.user, self.user)
        become = f"setpriv --reuid {self.user} --regid {self.user} --clear-groups --inh-caps=-all"
        options = f"--root {self.folder}/root --runroot {self.folder}/run --storage-driver vfs"
        self.program.write_text(
            f"#!/bin/sh\nunset CONTAINER_HOST\n"
            f"exec {become if self.user else ''} /usr/bin/podman {options} --runtime runc "
            '--cgroup-manager cgroupfs --events-backend file "$@"\n'
        )
        self.program.chmod(0o755)
        self.do("import", archive, "box:1")
        self.serve(self.program, "system", "service", "--time=0", f"unix://{self.socket}")
        until(self.socket.is_socket, "podman to listen")

    def run(self, name: str, *command: str, options: tuple[str, ...] = ()) -> str:
        """Start a container; its id. The limits are those that a machine without CAP_SYS_RESOURCE can set."""
        limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=100:100")
        return self.do(
            "run", "--detach", "--network", "none", *limits, "--name", name, *options, "box:1", *command
        )

    def remove_all(self) -> None:
        self.do("rm", "--all", "--force", "--time", "0")

    def stop(self) -> None:
        super().stop()
        if self.user:
            self.do("system", "migrate")  # ends what keeps the user namespace


@dataclass
class Containerd(Engine):
    """`do` is `ctr`, and `cri` what kubelet asks."""

    name = "containerd"
    program = "ctr"
    execs: Iterator[int] = field(default_factory=count)

    @property
    def cri(self) -> Runtime:
        return Runtime(str(self.socket))

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": PATH, "HOME": str(self.folder), "CONTAINERD_ADDRESS": str(self.socket)}

    def start(self) -> None:
        """What runc keeps of its containers is in a folder of its own, too."""
        configuration = self.folder / "config.toml"
        cri = 'plugins."io.containerd.grpc.v1.cri"'
        configuration.write_text(
            f'version = 2\nroot = "{self.folder}/root"\nstate = "{self.folder}"\n'
            f'[grpc]\n  address = "{self.socket}"\n'
            f'[{cri}]\n  sandbox_image = "box:1"\n  restrict_oom_score_adj = true\n'
            f"  disable_apparmor = true\n"
            f'[{cri}.cni]\n  conf_dir = "{self.folder}/cni"\n'
            f'[{cri}.containerd.runtimes.runc]\n  runtime_type = "io.containerd.runc.v2"\n'
            f'[{cri}.containerd.runtimes.runc.options]\n  Root = "{self.folder}/runc"\n'
        )
        self.serve("containerd", "--config", configuration)
        until(lambda: not self.ask("version").returncode, "containerd to answer")
        archive = make_archive(make_image(self.folder))
        self.do("--namespace", "k8s.io", "images", "import", archive)

    def run(self, name: str, *command: str, options: tuple[str, ...] = ()) -> None:
        self.do(
            "run", "--detach", "--env", "PATH=/bin", "--runc-root", self.folder / "runc", *options,
            "--rootfs", self.folder / "image", name, *command,
        )  # fmt: skip

    def exec(self, name: str, *command: str) -> str:
        return self.do("task", "exec", "--exec-id", f"x{next(self.execs)}", name, *command)

    def remove_all(self) -> None:
        for each in map(fields, self.cri.ask("ListPodSandbox", {}).get(1, ())):
            self.cri.ask("StopPodSandbox", {1: text(each, 1)})
            self.cri.ask("RemovePodSandbox", {1: text(each, 1)})
        for name in self.ask("task", "list", "--quiet").stdout.split():
            self.ask("task", "delete", "--force", name)
        for name in self.ask("container", "list", "--quiet").stdout.split():
            self.ask("container", "delete", name)


@dataclass
class Pod:
    """A pod as kubelet has it made: through CRI, in the network of the machine, as there is no other here."""

    containerd: Containerd
    name: str
    namespace: str
    uid: str
    id: str = ""

    @property
    def _namespaces(self) -> dict[int, int]:
        """NamespaceOption: network and ipc of the node, pid of each container's own."""
        return {1: 2, 2: 1, 3: 2}

    @property
    def _config(self) -> dict[int, Any]:
        """PodSandboxConfig."""
        linux = {1: f"/kubepods/besteffort/pod{self.uid}", 2: {1: self._namespaces}}
        return {1: {1: self.name, 2: self.uid, 3: self.namespace}, 8: linux}

    def start(self) -> None:
        self.id = text(self.containerd.cri.ask("RunPodSandbox", {1: self._config}), 1)

    def run(self, name: str, *command: str) -> str:
        """Start a container in it; its id."""
        config = {1: {1: name}, 2: {1: "box:1"}, 3: command, 15: {2: {3: self._namespaces}}}
        asked = {1: self.id, 2: config, 3: self._config}
        container = text(self.containerd.cri.ask("CreateContainer", asked), 1)
        self.containerd.cri.ask("StartContainer", {1: container})
        return container

    def exec(self, container: str, *command: str) -> str:
        """What it wrote on stdout and stderr."""
        done = self.containerd.cri.ask("ExecSync", {1: container, 2: command, 3: SECONDS_MAX})
        return text(done, 1) + text(done, 2)
