"""What each scope stands for: the target as it was named, and the container it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracer.cgroup_names import container_in
from tracer.context.fields import number, text
from tracer.context.recent import Recent
from tracer.events import Container
from tracer.records import CgroupRecord

KEPT = 65_536  # of scopes, and of containers: each container that starts may be one


class Scopes:
    """From `scope` and `container` records, and from the cgroups that are made for containers.

    Facts of a container may come after its first events: those before have its id alone.
    """

    def __init__(self) -> None:
        self._containers: Recent[str, Container] = Recent(KEPT)
        self._of_scope: Recent[int, str] = Recent(KEPT)  # container id
        self._targets: Recent[int, str] = Recent(KEPT)
        self._labels: dict[int, tuple[Container | None, str]] = {}

    def labels(self, scope: int) -> tuple[Container | None, str]:
        """Container and target; asked for with every event."""
        labels = self._labels.get(scope)
        if labels is None:
            labels = self._labels[scope] = self.container(scope), self.target(scope)
        return labels

    def container(self, scope: int) -> Container | None:
        container_id = self._of_scope.get(scope)
        return None if container_id is None else self._containers.get(container_id)

    def target(self, scope: int) -> str:
        """ "" when the trace does not say."""
        target = self._targets.get(scope)
        if target is not None:
            return target
        container = self.container(scope)
        return f"{container.runtime or 'container'}:{container.name or container.id}" if container else ""

    def learn_scope(self, record: Mapping[str, Any]) -> None:
        """Raises TraceError when it is none, as the next does."""
        self._labels.clear()
        scope, container = number(record, "scope"), text(record, "container", "")
        target = text(record, "target", "")
        if target:
            self._targets.put(scope, target)
        pod, namespace = text(record, "pod", ""), text(record, "namespace", "")
        if container:
            self._enter(scope, container)
        elif pod:  # whichever of its containers it is
            self._containers.put(f"{namespace}/{pod}", Container("", pod=pod, namespace=namespace))
            self._of_scope.put(scope, f"{namespace}/{pod}")

    def learn_container(self, record: Mapping[str, Any]) -> None:
        self._labels.clear()
        facts = {
            name: text(record, name, "") for name in ("id", "runtime", "name", "image", "pod", "namespace")
        }
        container = Container(**facts)
        self._containers.put(container.id, container)

    def made(self, record: CgroupRecord) -> None:
        """The cgroup of an awaited container."""
        self._labels.clear()
        runtime, container_id = container_in(record.name)
        if container_id:
            self._enter(record.scope, container_id, runtime)

    def _enter(self, scope: int, container_id: str, runtime: str = "") -> None:
        if self._containers.get(container_id) is None:
            self._containers.put(container_id, Container(container_id, runtime))
        self._of_scope.put(scope, container_id)
