"""The files of a container that does not run (yet), where its engine keeps them.

The engines give files, too (`/containers/ID/archive`), but disturb what is watched by that: Docker makes the
mount points in its root anew, and a removal at the same moment fails ("directory not empty").
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tracer.targets.container import read_passwd_in

_ID_FILE_MAX_CHARACTERS = 128


def passwd_in_storage(said: Mapping[str, Any], folder: Callable[[], str]) -> bytes:
    """b"" when there is none, or this engine's storage is of a kind that is not known here.

    said    what `/containers/ID/json` answers
    folder  asks where the engine keeps everything
    """
    driver = said.get("GraphDriver") or {}
    data = driver.get("Data") or {}
    if driver.get("Name") == "vfs":
        roots = list(_vfs(Path(folder()), str(said.get("Id"))))
    else:
        roots = [each for kind in ("UpperDir", "LowerDir") for each in str(data.get(kind) or "").split(":")]
    for root in filter(None, roots):
        if users := read_passwd_in(root):
            return users
    return b""


def _vfs(folder: Path, container_id: str) -> Iterator[str]:
    """As Docker keeps them, and as Podman does."""
    with suppress(OSError):
        named = folder / "image/vfs/layerdb/mounts" / container_id / "mount-id"
        yield str(folder / "vfs/dir" / named.read_text()[:_ID_FILE_MAX_CHARACTERS].strip())
    with suppress(OSError, ValueError):
        for each in json.loads((folder / "vfs-containers/containers.json").read_bytes()):
            if each.get("id") == container_id:
                yield str(folder / "vfs/dir" / str(each.get("layer")))
