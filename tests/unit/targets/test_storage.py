"""The users of a container that does not run, from where its engine keeps it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tracer.targets.storage import passwd_in_storage

USERS = b"agent:x:1000:1000::/:/bin/sh\n"
ID = "c" * 64


def root(folder: Path, users: bytes = USERS) -> Path:
    (folder / "etc").mkdir(parents=True)
    (folder / "etc/passwd").write_bytes(users)
    return folder


def nowhere() -> str:
    raise AssertionError


def test_vfs_of_docker(tmp_path: Path) -> None:
    said = {"Id": ID, "GraphDriver": {"Name": "vfs", "Data": None}}
    assert passwd_in_storage(said, lambda: str(tmp_path)) == b""
    named = tmp_path / "image/vfs/layerdb/mounts" / ID
    named.mkdir(parents=True)
    (named / "mount-id").write_text("m1")
    root(tmp_path / "vfs/dir/m1")
    assert passwd_in_storage(said, lambda: str(tmp_path)) == USERS


def test_vfs_of_podman(tmp_path: Path) -> None:
    (tmp_path / "vfs-containers").mkdir()
    kept = [{"id": "other", "layer": "l1"}, {"id": ID, "layer": "l2"}]
    (tmp_path / "vfs-containers/containers.json").write_text(json.dumps(kept))
    root(tmp_path / "vfs/dir/l1", b"no\n")
    root(tmp_path / "vfs/dir/l2")
    said = {"Id": ID, "GraphDriver": {"Name": "vfs", "Data": {}}}
    assert passwd_in_storage(said, lambda: str(tmp_path)) == USERS


@pytest.mark.parametrize("layer", ["upper", "lower1", "lower2"])
def test_layers(tmp_path: Path, layer: str) -> None:
    """The uppermost that has one counts."""
    names = ["upper", "lower1", "lower2"]
    for name in names:
        (tmp_path / name).mkdir()
    for name in names[names.index(layer) :]:
        root(tmp_path / name, USERS if name == layer else b"below\n")
    data = {"UpperDir": str(tmp_path / "upper"), "LowerDir": f"{tmp_path}/lower1:{tmp_path}/lower2"}
    said = {"Id": ID, "GraphDriver": {"Name": "overlay2", "Data": data}}
    assert passwd_in_storage(said, nowhere) == USERS


def test_a_link_leads_nowhere_else(tmp_path: Path) -> None:
    """Of the layer, the sandbox writes what it will."""
    (tmp_path / "secret").write_bytes(USERS)
    (tmp_path / "upper/etc").mkdir(parents=True)
    (tmp_path / "upper/etc/passwd").symlink_to(tmp_path / "secret")
    said = {"Id": ID, "GraphDriver": {"Name": "overlay2", "Data": {"UpperDir": str(tmp_path / "upper")}}}
    assert passwd_in_storage(said, nowhere) == b""
    os.unlink(tmp_path / "upper/etc/passwd")
    os.mkfifo(tmp_path / "upper/etc/passwd")
    assert passwd_in_storage(said, nowhere) == b""


def test_of_a_storage_that_is_not_known(tmp_path: Path) -> None:
    assert passwd_in_storage({"Id": ID}, nowhere) == b""
    assert passwd_in_storage({"Id": ID, "GraphDriver": {"Name": "zfs", "Data": {}}}, nowhere) == b""
