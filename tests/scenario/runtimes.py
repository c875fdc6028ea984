"""Container runtimes of the tests' own: daemons with sockets and data folders that nobody else uses."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from .driver import until

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
PASSWD = "root:x:0:0::/:/bin/sh\nagent:x:1000:1000::/:/bin/sh\n"
APPLETS = ("sh", "sleep", "cat", "touch", "true", "id", "nc", "sed", "setsid", "cp", "unshare", "nsenter")
SECONDS_MAX = 60


def make_image(folder: Path) -> Path:
    """A root file system of busybox alone, as an archive."""
    root, archive = folder / "image", folder / "image.tar"
    for name in ("bin", "etc", "proc", "tmp"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for name in APPLETS:
        (root / "bin" / name).symlink_to("busybox")
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text(PASSWD)
    with tarfile.open(archive, "w") as tar:
        tar.add(root, ".")
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
class Docker:
    """A dockerd; `do` is its command line."""

    folder: Path
    daemons: list[Daemon] = field(default_factory=list)

    @property
    def socket(self) -> Path:
        return self.folder / "docker.sock"

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": PATH, "HOME": str(self.folder), "DOCKER_HOST": f"unix://{self.socket}"}

    def start(self) -> None:
        command: list[str | Path] = [
            "/usr/sbin/dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none",
            "--storage-driver", "vfs", "--host", f"unix://{self.socket}",
            "--data-root", self.folder / "root", "--exec-root", self.folder / "exec",
            "--pidfile", self.folder / "pid",
        ]  # fmt: skip
        self.daemons.append(Daemon(command, self.folder / "dockerd.log", self.environment))
        until(lambda: self.socket.is_socket() and not self._ask("version").returncode, "dockerd to answer")
        self.do("import", make_image(self.folder), "box:1")

    def _ask(self, *argv: str | Path) -> subprocess.CompletedProcess[str]:
        command = ["/usr/bin/docker", *argv]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
        )

    def do(self, *argv: str | Path) -> str:
        """What it says, without the end of the line."""
        done = self._ask(*argv)
        assert done.returncode == 0, f"docker {argv}: {done.stderr}"
        return done.stdout.strip()

    def run(self, name: str, *command: str, options: tuple[str, ...] = ()) -> str:
        """Start a container; its id."""
        return self.do("run", "--detach", "--network", "none", "--name", name, *options, "box:1", *command)

    def remove_all(self) -> None:
        if names := self._ask("ps", "--all", "--quiet").stdout.split():
            self._ask("rm", "--force", *names)

    def stop(self) -> None:
        self.remove_all()
        for daemon in self.daemons:
            daemon.stop()


@dataclass
class Podman:
    """Podman with a place of its own for everything; `serve` starts its service, `program` is the command."""

    folder: Path
    daemons: list[Daemon] = field(default_factory=list)

    @property
    def socket(self) -> Path:
        return self.folder / "podman.sock"

    @property
    def program(self) -> Path:
        return self.folder / "bin/podman"

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": PATH, "HOME": str(self.folder), "CONTAINER_HOST": f"unix://{self.socket}"}

    def start(self) -> None:
        self.program.parent.mkdir()
        options = f"--root {self.folder}/root --runroot {self.folder}/run --storage-driver vfs"
        self.program.write_text(
            f"#!/bin/sh\nunset CONTAINER_HOST\nexec /usr/bin/podman {options} --runtime runc "
            '--cgroup-manager cgroupfs --events-backend file "$@"\n'
        )
        self.program.chmod(0o755)
        self.do("import", make_image(self.folder), "box:1")

    def serve(self) -> None:
        command: list[str | Path] = [self.program, "system", "service", "--time=0", f"unix://{self.socket}"]
        self.daemons.append(Daemon(command, self.folder / "service.log", self.environment))
        until(self.socket.is_socket, "podman to listen")

    def do(self, *argv: str | Path) -> str:
        done = subprocess.run(
            [self.program, *argv],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
        assert done.returncode == 0, f"podman {argv}: {done.stderr}"
        return done.stdout.strip()

    def run(self, name: str, *command: str, options: tuple[str, ...] = ()) -> str:
        """Start a container; its id. The limits are those that a machine without CAP_SYS_RESOURCE can set."""
        limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=100:100")
        return self.do(
            "run", "--detach", "--network", "none", *limits, "--name", name, *options, "box:1", *command
        )

    def remove_all(self) -> None:
        self.do("rm", "--all", "--force", "--time", "0")

    def stop(self) -> None:
        self.remove_all()
        for daemon in self.daemons:
            daemon.stop()


@dataclass
class Containerd:
    """A containerd; `do` is `ctr`."""

    folder: Path
    daemons: list[Daemon] = field(default_factory=list)
    execs: Iterator[int] = field(default_factory=count)

    @property
    def environment(self) -> dict[str, str]:
        address = self.folder / "containerd.sock"
        return {"PATH": PATH, "HOME": str(self.folder), "CONTAINERD_ADDRESS": str(address)}

    def start(self) -> None:
        configuration = self.folder / "config.toml"
        configuration.write_text(
            f'version = 2\nroot = "{self.folder}/root"\nstate = "{self.folder}"\n'
            f'[grpc]\n  address = "{self.folder}/containerd.sock"\n'
        )
        command: list[str | Path] = ["containerd", "--config", configuration]
        self.daemons.append(Daemon(command, self.folder / "containerd.log", self.environment))
        until(lambda: not self._ask("version").returncode, "containerd to answer")
        make_image(self.folder)

    def _ask(self, *argv: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ctr", *argv],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )

    def do(self, *argv: str | Path) -> str:
        done = self._ask(*argv)
        assert done.returncode == 0, f"ctr {argv}: {done.stderr}"
        return done.stdout.strip()

    def run(
        self, name: str, *command: str, options: tuple[str, ...] = (), namespace: str = "default"
    ) -> None:
        root = self.folder / "image"
        self.do(
            "--namespace", namespace, "run", "--detach", "--env", "PATH=/bin", "--rootfs", *options,
            root, name, *command,
        )  # fmt: skip

    def exec(self, name: str, *command: str, namespace: str = "default") -> None:
        self.do("--namespace", namespace, "task", "exec", "--exec-id", f"x{next(self.execs)}", name, *command)

    def remove_all(self) -> None:
        for namespace in ("default", "k8s.io"):
            for name in self._ask("--namespace", namespace, "task", "list", "--quiet").stdout.split():
                self._ask("--namespace", namespace, "task", "delete", "--force", name)
            for name in self._ask("--namespace", namespace, "container", "list", "--quiet").stdout.split():
                self._ask("--namespace", namespace, "container", "delete", name)

    def stop(self) -> None:
        self.remove_all()
        for daemon in self.daemons:
            daemon.stop()
