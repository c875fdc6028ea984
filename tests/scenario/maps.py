"""What the probes of a running Rubicon keep, counted from outside."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path

from tracer.capture.libbpf import keys_of

_HASH = 1  # enum bpf_map_type; those that drop what was not used for long (LRU) are other types


class _Info(ctypes.Structure):
    """struct bpf_map_info, its beginning."""

    _fields_ = (
        *((name, ctypes.c_uint32) for name in ("type", "id", "key", "value", "entries", "flags")),
        ("name", ctypes.c_char * 16),
    )


def entries(pid: int) -> dict[str, int]:
    """How many there are in each map that holds an entry until somebody takes it out."""
    return dict(_counted(number) for number in _ids(pid))


def _ids(pid: int) -> set[int]:
    found = set()
    for file in Path(f"/proc/{pid}/fdinfo").iterdir():
        with suppress(OSError):
            said = dict(line.split(":\t", 1) for line in file.read_text().splitlines() if ":\t" in line)
            if int(said.get("map_type", 0)) == _HASH:
                found.add(int(said["map_id"]))
    return found


def _counted(number: int) -> tuple[str, int]:
    libbpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
    descriptor = libbpf.bpf_map_get_fd_by_id(number)
    assert descriptor >= 0, os.strerror(ctypes.get_errno())
    try:
        info, size = _Info(), ctypes.c_uint32(ctypes.sizeof(_Info))
        assert not libbpf.bpf_obj_get_info_by_fd(descriptor, ctypes.byref(info), ctypes.byref(size))
        return info.name.decode(), len(keys_of(descriptor, info.key, info.entries))
    finally:
        os.close(descriptor)
