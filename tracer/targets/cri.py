"""Pods, asked of the runtime by the socket that kubelet asks: containerd, CRI-O, or whatever speaks CRI.

https://github.com/kubernetes/cri-api/blob/master/pkg/apis/runtime/v1/api.proto has the numbers of the fields.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tracer.targets import grpc, processes
from tracer.targets.container import Container
from tracer.targets.docker import present
from tracer.targets.grpc import Message, below, fields, mapping, text

SERVICE = "/runtime.v1.RuntimeService/"
TIMEOUT_SECONDS = 10.0
_READY: Message = {1: {2: {1: 0}}}
_RUNNING: Message = {1: {2: {1: 1}}}
_KNOWN_AS = {"cri-o": "crio"}  # as cgroups are named


def sockets(environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> list[str]:
    """As the environment says (crictl's variable, or ctr's), else the usual places."""
    for name in ("CONTAINER_RUNTIME_ENDPOINT", "CONTAINERD_ADDRESS"):
        if named := environment.get(name, "").removeprefix("unix://"):
            return [named]
    places = ("containerd/containerd.sock", "k3s/containerd/containerd.sock", "crio/crio.sock")
    return present([root / "run" / place for place in places])


class Runtime:
    """One runtime, by its socket. Its methods raise OSError when it does not answer."""

    def __init__(self, socket: str) -> None:
        self.socket = socket

    def ask(self, method: str, request: Message) -> dict[int, list[Any]]:
        return fields(grpc.call(self.socket, SERVICE + method, request, TIMEOUT_SECONDS))

    def containers(self) -> Iterator[Container]:
        """Those of pods that run, and before them what holds the namespaces of each pod: that has no name."""
        runtime = _KNOWN_AS.get(text(self.ask("Version", {}), 2), "containerd")
        pods: dict[str, tuple[str, str]] = {}  # name and namespace by id
        for sandbox in map(fields, self.ask("ListPodSandbox", _READY).get(1, ())):
            about = below(sandbox, 2)
            pods[text(sandbox, 1)] = text(about, 1), text(about, 3)
            found = Container(text(sandbox, 1), runtime, "", "", *pods[text(sandbox, 1)])
            yield from self._with_pid(found, "PodSandboxStatus")
        for each in map(fields, self.ask("ListContainers", _RUNNING).get(1, ())):
            image = below(each, 4)
            found = Container(
                text(each, 1),
                runtime,
                text(below(each, 3), 1),
                text(image, 18) or text(image, 1),
                *pods.get(text(each, 2), ("", "")),
                labels=mapping(each, 8),
            )
            yield from self._with_pid(found, "ContainerStatus")

    def _with_pid(self, container: Container, method: str) -> Iterator[Container]:
        """None when it has ended since. The first process is told in words of the runtime's own, outside of
        the API proper, by containerd and CRI-O alike.
        """
        try:
            said = json.loads(mapping(self.ask(method, {1: container.id, 2: 1}), 2)["info"])
            pid = int(said["pid"])
            started = time.gmtime(processes.started(pid))
        except (OSError, KeyError, TypeError, ValueError):
            return
        yield replace(container, pid=pid, started=time.strftime("%Y-%m-%dT%H:%M:%SZ", started))


def engines() -> Sequence[Runtime]:
    return [Runtime(socket) for socket in sockets()]
