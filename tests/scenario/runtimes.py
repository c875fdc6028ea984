"""Container runtimes of the tests' own: daemons with sockets and data folders that nobody else uses."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tarfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .driver import until

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
PASSWD = "root:x:0:0::/:/bin/sh\nagent:x:1000:1000::/:/bin/sh\n"
APPLETS = ("sh", "sleep", "cat", "touch", "true", "id", "nc", "sed", "setsid", "cp")
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


@dataclass
class Docker:
    """A dockerd; `do` is its command line."""

    folder: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def socket(self) -> Path:
        return self.folder / "docker.sock"

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": PATH, "HOME": str(self.folder), "DOCKER_HOST": f"unix://{self.socket}"}

    def start(self) -> None:
        command = [
            "/usr/sbin/dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none",
            "--storage-driver", "vfs", "--host", f"unix://{self.socket}",
            "--data-root", self.folder / "root", "--exec-root", self.folder / "exec",
            "--pidfile", self.folder / "pid",
        ]  # fmt: skip
        with open(self.folder / "dockerd.log", "wb") as log:
            self.started.append(
                subprocess.Popen(
                    command, stdout=log, stderr=log, env=self.environment, start_new_session=True
                )
            )
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
        for process in self.started:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(SECONDS_MAX)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
