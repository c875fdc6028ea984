"""What to watch: from the word a user types to the thing in the kernel it stands for.

    docker:web          a container, by name or id, with what `docker exec` starts in it; so are podman: and
                        containerd:
    pod:default/agent   all containers of a pod of Kubernetes, and those it will start
    unit:agent          all that is in the cgroup of a unit of systemd
    cgroup:/box         all that is in the cgroup or below it, now and later
    pid:42              the process, and all it started and will start
    comm:agent*         so, each process of that name, also those that start later

One file a kind of target: `docker`, `podman`, `containerd`, `pods`, `units`, `cgroups` and `processes`
(psutil is used there alone); `container` has what containers of all runtimes have in common, `unixhttp` how
to ask Docker, `cri` and `grpc` how to ask what kubelet asks, `roster` all that is there. A target says what
to watch and nothing of how: `tracer.session` hands it to the source. Imported by `tracer.session` and
`tracer.cli`; imports only `tracer.errors`, `tracer.text` and `tracer.cgroup_names`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from tracer.errors import TargetError
from tracer.targets import cgroups, processes
from tracer.targets.container import Container, Place
from tracer.text import printable


@dataclass(frozen=True, slots=True)
class Target:
    """`name` is as the user wrote it. A pid of this pid namespace, or the id of a cgroup, is set.

    records     context records that go into the trace with it
    pod         name and namespace, where a pod is watched as a whole
    starts_as   what its cgroup is called, when that may be made anew
    called      a glob of the names of processes
    """

    name: str
    pid: int = 0
    cgroup_id: int = 0
    cgroup_version: int = 2
    container: Container | None = None
    records: tuple[Mapping[str, Any], ...] = ()
    pod: Mapping[str, str] = field(default_factory=dict)
    starts_as: str = ""
    called: str = ""


def _pid(word: str, rest: str) -> list[Target]:
    pid = processes.find(rest)
    container = container_of(pid)
    if container is None:
        return [Target(word, pid=pid)]
    return [Target(word, pid=pid, container=container, records=(container.record(),))]


def container_of(pid: int) -> Container | None:
    """The container that a process is in: as far as its cgroup tells, and its runtime when it answers."""
    from tracer.targets import docker, podman
    from tracer.targets.container import from_cgroup, paths_of

    found = next(filter(None, map(from_cgroup, paths_of(pid))), None)
    if found is None:
        return None
    asked = {"docker": docker.engines, "podman": podman.engines}.get(found.runtime)
    for engine in asked() if asked else ():
        with suppress(OSError):
            if known := engine.find(found.id):
                return known
    return found


def _cgroup(word: str, rest: str) -> list[Target]:
    return [Target(word, cgroup_id=cgroups.find(rest))]


def _docker(word: str, rest: str) -> list[Target]:
    from tracer.targets import docker

    return [of_container(word, *docker.find(rest))]


def _podman(word: str, rest: str) -> list[Target]:
    from tracer.targets import podman

    return [of_container(word, *podman.find(rest))]


def _containerd(word: str, rest: str) -> list[Target]:
    from tracer.targets import containerd

    return [of_container(word, *containerd.find(rest))]


def of_container(word: str, container: Container, passwd: bytes) -> Target:
    """Held by its cgroup; where a rootless runtime made none, by its first process and what comes of it."""
    from tracer.targets import container as containers

    containers.await_first_program(container.pid)
    place = containers.place_of(container.pid, container.id)
    users = containers.user_records(container, passwd, containers.uid_map(container.pid))
    records = (container.record(), *users)
    if place is None:
        return Target(word, pid=processes.find(str(container.pid)), container=container, records=records)
    return replace(_at(word, place), container=container, records=records)


def _at(word: str, place: Place) -> Target:
    return Target(word, cgroup_id=cgroups.id_of(place.path, place.version), cgroup_version=place.version)


def _pod(word: str, rest: str) -> list[Target]:
    """The cgroup around all of it, for what it will start, and each container by itself."""
    from tracer.targets import pods
    from tracer.targets.container import read_passwd

    place, containers = pods.find(rest)
    targets = [of_container(word, each, read_passwd(each.pid)) for each in containers]
    if place is None:
        return targets
    facts = {"pod": containers[0].pod, "namespace": containers[0].namespace} if containers else {}
    return [*targets, replace(_at(word, place), pod=facts)]


def _unit(word: str, rest: str) -> list[Target]:
    from tracer.targets import units

    place = units.find(rest)
    return [replace(_at(word, place), starts_as=place.path.rpartition("/")[2].removesuffix(".scope"))]


def _comm(word: str, rest: str) -> list[Target]:
    processes.find_named(rest)
    return [Target(word, called=rest)]


_KINDS: Mapping[str, tuple[str, Callable[[str, str], list[Target]]]] = {
    "docker": ("docker:NAME|ID", _docker),
    "podman": ("podman:NAME|ID", _podman),
    "containerd": ("containerd:ID", _containerd),
    "pod": ("pod:NAMESPACE/NAME", _pod),
    "unit": ("unit:NAME", _unit),
    "pid": ("pid:N", _pid),
    "cgroup": ("cgroup:PATH", _cgroup),
    "comm": ("comm:GLOB", _comm),
}
KINDS = tuple(form for form, _find in _KINDS.values())


def parse_target(word: str) -> list[Target]:
    """A pod is several, as is what a glob names: each a scope of its own.

    Raises TargetError when there is no such kind or no such thing; the message names near matches.
    """
    kind, colon, rest = word.partition(":")
    if not colon or kind not in _KINDS:
        forms = f"{', '.join(KINDS[:-1])} or {KINDS[-1]}"
        raise TargetError(f"{printable(word)} is not a target: give one as {forms}")
    return _KINDS[kind][1](word, rest)
