"""Pods of Kubernetes: by the socket that kubelet asks (CRI); where that does not answer, by what containerd
runs them from; else by the names that kubelet gives cgroups.

Of a pod the cgroup around all its containers is watched, so that those it starts later are seen, too, and
each container that is there by itself, so that its events carry its name.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from tracer.cgroup_names import pod_uid
from tracer.errors import TargetError
from tracer.targets import cgroups, containerd, cri
from tracer.targets.container import Container, Place, place_of
from tracer.text import printable


def find(name: str) -> tuple[Place | None, list[Container]]:
    """The pod's own cgroup and its containers. `name` is NAMESPACE/NAME, or the uid of a pod.

    Raises TargetError when there is none; names near matches.
    """
    pods = by_name()
    found = pods.get(name)
    if found:
        return _around(found), found
    place = _by_uid(name)
    if place is None:
        close = get_close_matches(name, pods, n=3, cutoff=0.4) or sorted(pods)[:3]
        near = f"; near matches: {', '.join(map(printable, close))}" if close else ""
        raise TargetError(f"there is no pod {printable(name)}: give NAMESPACE/NAME, or its uid{near}")
    return place, []


def by_name() -> dict[str, list[Container]]:
    """The containers of each pod, the one that holds its namespaces among them."""
    pods: dict[str, list[Container]] = defaultdict(list)
    for container in _containers():
        if container.pod:
            pods[f"{container.namespace}/{container.pod}"].append(container)
    return dict(pods)


def _containers() -> Iterator[Container]:
    silent = True
    for runtime in cri.engines():
        with suppress(OSError):
            yield from list(runtime.containers())
            silent = False
    if silent:
        yield from filter(None, (containerd.read(bundle) for _namespace, bundle in containerd.bundles()))


def _around(containers: list[Container]) -> Place | None:
    for container in containers:
        place = place_of(container.pid, container.id)
        if place and pod_uid(os.path.dirname(place.path) + "/"):
            return Place(os.path.dirname(place.path), place.version)
    return None


def _by_uid(uid: str) -> Place | None:
    """By the cgroup alone: also with a runtime that is not containerd."""
    if len(uid) < 32:
        return None
    for version, root in cgroups.hierarchies().items():
        for folder in cgroups.folders_below(root):
            if pod_uid(Path(folder).name) == uid:
                return Place(f"/{folder}", version)
    return None
