"""Containers of containerd, and the pods of Kubernetes in it, from the bundles that it runs them from.

A bundle (STATE/io.containerd.runtime.v2.task/NAMESPACE/ID) is there while the container is, and holds its OCI
configuration and first pid. To read it takes no client, no protocol and no version of either, and it serves
the containerd inside of Docker just as well. What is not in there (image and labels of a container that is no
pod's) is asked of `ctr`, which is part of containerd.

https://github.com/containerd/containerd/blob/main/docs/runtime-v2.md,
https://github.com/containerd/containerd/blob/main/internal/cri/annotations/annotations.go
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tracer.errors import TargetError
from tracer.targets import processes
from tracer.targets.container import Container, read_passwd
from tracer.targets.docker import near
from tracer.text import printable

SOCKET = "/run/containerd/containerd.sock"
BUNDLES = "io.containerd.runtime.v2.task"
CONFIG_MAX_BYTES = 16 * 2**20
TIMEOUT_SECONDS = 10
DOCKERS_OWN = "moby"
_CRI = "io.kubernetes.cri."


def state_folders(environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> list[Path]:
    """By default the socket is in the folder of its state. The second is that of the one inside of Docker."""
    named = environment.get("CONTAINERD_ADDRESS")
    if named:
        return [Path(named.removeprefix("unix://")).parent]
    places = [root / "run/containerd", root / "run/docker/containerd/daemon", root / "run/k3s/containerd"]
    return [place for place in places if (place / BUNDLES).is_dir()]


def bundles() -> Iterator[tuple[str, Path]]:
    """Namespace and bundle of each container."""
    for state in state_folders():
        for bundle in sorted((state / BUNDLES).glob("*/*")):
            yield bundle.parent.name, bundle


def read(bundle: Path) -> Container | None:
    """None when it is gone, or does not run."""
    try:
        pid = int((bundle / "init.pid").read_text())
        with open(bundle / "config.json", "rb") as file:
            config = json.loads(file.read(CONFIG_MAX_BYTES))
        started = processes.started(pid)
    except (OSError, ValueError):
        return None
    notes: Mapping[str, str] = config.get("annotations") or {}
    name = notes.get(f"{_CRI}container-name") or notes.get("nerdctl/name") or bundle.name
    is_pause = notes.get(f"{_CRI}container-type") == "sandbox"
    return Container(
        id=bundle.name,
        runtime="containerd",
        name="" if is_pause else name,
        image=notes.get(f"{_CRI}image-name", ""),
        pod=notes.get(f"{_CRI}sandbox-name", ""),
        namespace=notes.get(f"{_CRI}sandbox-namespace", ""),
        pid=pid,
        started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        labels=dict(notes),
    )


def find(name: str) -> tuple[Container, bytes]:
    """By id, its beginning when it is long enough to be one, or NAMESPACE/ID. Raises TargetError."""
    namespace, _slash, container_id = name.rpartition("/")
    known: list[Container] = []
    for place, bundle in bundles():
        if namespace not in ("", place):
            continue
        container = read(bundle)
        if container is None:
            continue
        if container_id and _is_called(container, container_id):
            return _completed(place, container), read_passwd(container.pid)
        known.append(container)
    if not state_folders():
        raise TargetError(f"containerd:{printable(name)}: containerd does not run here")
    raise TargetError(f"containerd has no container {printable(name)}{near(name, known)}")


def _is_called(container: Container, name: str) -> bool:
    return name in (container.id, container.name) or (len(name) >= 6 and container.id.startswith(name))


def _completed(namespace: str, container: Container) -> Container:
    """With image and labels, as far as `ctr` is there to tell."""
    program = shutil.which("ctr")
    if container.image or program is None:
        return container
    command = [program, "--namespace", namespace, "containers", "info", container.id]
    with suppress(OSError, ValueError, subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
        said: Mapping[str, Any] = json.loads(done.stdout)
        return Container(
            container.id,
            container.runtime,
            container.name,
            str(said.get("Image") or ""),
            container.pod,
            container.namespace,
            container.pid,
            container.started,
            dict(said.get("Labels") or {}),
        )
    return container


def created(namespace: str, container_id: str) -> Container:
    """One that may not run yet."""
    return _completed(namespace, Container(container_id, "containerd", container_id))


def running(namespace: str, container_id: str) -> Container | None:
    for state in state_folders():
        container = read(state / BUNDLES / namespace / container_id)
        if container:
            return _completed(namespace, container)
    return None


def listed() -> Iterator[Container]:
    """All but Docker's, which has names for them, and but the ones that hold a pod's namespaces."""
    for place, bundle in bundles():
        container = read(bundle) if place != DOCKERS_OWN else None
        if container and (container.name or not container.pod):
            yield container
