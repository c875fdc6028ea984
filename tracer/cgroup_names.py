"""What the path of a cgroup tells: container runtimes and Kubernetes name them after what they hold."""

from __future__ import annotations

import re

# Of Podman, "conmon" is the monitor, which is outside of the container.
_CONTAINER = re.compile(
    r"(?:^|/)(?:(?P<by>docker|libpod|cri-containerd|crio|nerdctl)-)?(?P<id>[0-9a-f]{64})(?:\.scope)?(?=/|$)"
)
_RUNTIMES = {"docker": "docker", "libpod": "podman", "cri-containerd": "containerd", "crio": "crio"}
_PARENTS = {"docker": "docker", "libpod_parent": "podman"}
# kubelet's names: /kubepods/burstable/podUID/ID; by systemd, kubepods-burstable-podUID_WITH_LOWER_BARS.slice.
_POD = re.compile(
    r"(?:^|/)(?:kubepods[^/]*-)?pod(?P<uid>[0-9a-f]{8}[-_][0-9a-f_-]{27}|[0-9a-f]{32})(?:\.slice)?(?:/|$)"
)


def container_in(path: str) -> tuple[str, str]:
    """Runtime and id of the outermost container in a path; ("", "") when there is none.

    The runtime is "" when the path does not tell it.
    """
    found = _CONTAINER.search(path)
    if not found:
        return "", ""
    parent = path.strip("/").split("/")[0]
    runtime = _RUNTIMES.get(found["by"] or "") or _PARENTS.get(parent, "")
    return runtime or ("containerd" if pod_uid(path) else ""), found["id"]


def pod_uid(path: str) -> str:
    """The uid of the Kubernetes pod that a cgroup belongs to, or ""."""
    found = _POD.search(path)
    return found["uid"].replace("_", "-") if found else ""
