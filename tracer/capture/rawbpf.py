"""Maps and programs one by one, for instructions that no object file holds; through libbpf's own bpf(2).

Every failed call raises KernelError with what the kernel said.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable

from tracer.capture.libbpf import id_of, items_of, keys_of, library
from tracer.errors import KernelError

# enum bpf_prog_type and enum bpf_attach_type, by the section a program would have in an object
RAW_TRACEPOINT = (17, 0)
CGROUP = {
    "ingress": (8, 0),
    "egress": (8, 1),
    "sock_create": (9, 2),
    "connect4": (18, 10),
    "connect6": (18, 11),
    "sendmsg4": (18, 14),
    "sendmsg6": (18, 15),
}
_FUNCTION_RECORD_BYTES = 8  # struct bpf_func_info
_INSTRUCTION_BYTES = 8
_LOG_BYTES = 64 << 20  # kernels before 6.4 keep its beginning, and the reason is at its end
_NAME_MAX = 15  # BPF_OBJ_NAME_LEN, and a NUL


class _MapOptions(ctypes.Structure):
    """struct bpf_map_create_opts, up to the flags."""

    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("btf", ctypes.c_uint32 * 5),
        ("map_flags", ctypes.c_uint32),
    )


class _ProgramOptions(ctypes.Structure):
    """struct bpf_prog_load_opts, as far as it is used."""

    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("attempts", ctypes.c_int),
        ("expected_attach_type", ctypes.c_int),
        ("prog_btf_fd", ctypes.c_uint32),
        ("unused", ctypes.c_uint32 * 6),
        ("fd_array", ctypes.c_void_p),
        ("func_info", ctypes.c_char_p),
        ("func_info_cnt", ctypes.c_uint32),
        ("func_info_rec_size", ctypes.c_uint32),
        ("line_info", ctypes.c_void_p),
        ("line_info_cnt", ctypes.c_uint32),
        ("line_info_rec_size", ctypes.c_uint32),
        ("log_level", ctypes.c_uint32),
        ("log_size", ctypes.c_uint32),
        ("log_buf", ctypes.c_char_p),
    )


def possible_cpus() -> int:
    return int(library().libbpf_num_possible_cpus())


class RawMap:
    """A map that was made by hand; `sizes` are those of a key and a value."""

    def __init__(self, name: str, kind: int, sizes: tuple[int, int], entries: int, flags: int = 0) -> None:
        self.name, self.max_entries, self._value_bytes = name, entries, sizes[1]
        options = _MapOptions(sz=ctypes.sizeof(_MapOptions))
        options.map_flags = flags
        self.fd = int(library().bpf_map_create(kind, _short(name), *sizes, entries, ctypes.byref(options)))
        if self.fd < 0:
            raise library().fail(f"cannot make the map {name}", self.fd)

    def update(self, key: bytes, value: bytes) -> None:
        if library().bpf_map_update_elem(self.fd, key, value, 0):
            raise library().fail(f"cannot write to the map {self.name}")

    def value(self, key: bytes) -> bytes:
        value = ctypes.create_string_buffer(self._value_bytes)
        if library().bpf_map_lookup_elem(self.fd, key, value):
            raise library().fail(f"cannot read the map {self.name}")
        return value.raw

    def delete(self, key: bytes) -> None:
        """Nothing when it is not there."""
        library().bpf_map_delete_elem(self.fd, key)

    def keys(self, size: int) -> list[bytes]:
        """All keys, each of `size` bytes; what comes and goes meanwhile may be missing."""
        return keys_of(self.fd, size, self.max_entries)

    def items(self, key_size: int, value_size: int) -> dict[bytes, bytes]:
        """All entries; what comes and goes meanwhile may be missing."""
        return items_of(self.fd, key_size, value_size, self.max_entries)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def load_types(data: bytes) -> int:
    """A descriptor of type information."""
    fd = int(library().bpf_btf_load(data, len(data), None))
    if fd < 0:
        raise library().fail("the kernel refused the types of the probes", fd)
    return fd


def load_program(
    name: str, kind: tuple[int, int], instructions: bytes, types_fd: int, functions: bytes
) -> int:
    """A descriptor of a program. `functions` are struct bpf_func_info, of the types in `types_fd`."""
    options = _ProgramOptions(sz=ctypes.sizeof(_ProgramOptions))
    options.expected_attach_type = kind[1]
    options.prog_btf_fd, options.func_info = types_fd, functions
    options.func_info_rec_size = _FUNCTION_RECORD_BYTES
    options.func_info_cnt = len(functions) // _FUNCTION_RECORD_BYTES
    count = len(instructions) // _INSTRUCTION_BYTES
    fd = _load(name, kind[0], instructions, count, options)
    if fd >= 0:
        return fd
    reason = os.strerror(-fd)
    log = ctypes.create_string_buffer(_LOG_BYTES)
    options.log_level, options.log_size = 1, _LOG_BYTES
    options.log_buf = ctypes.cast(log, ctypes.c_char_p)
    fd = _load(name, kind[0], instructions, count, options)
    if fd >= 0:
        return fd
    said = log.value.decode("utf-8", "replace").strip().splitlines()[-2:]
    raise KernelError(f"the kernel refused the program {name}: {reason} ({'; '.join(said)})")


def _load(name: str, kind: int, instructions: bytes, count: int, options: _ProgramOptions) -> int:
    return int(
        library().bpf_prog_load(kind, _short(name), b"GPL", instructions, count, ctypes.byref(options))
    )


def attach(program_fd: int, tracepoint: str) -> int | None:
    """A descriptor that holds the program there; None when the kernel has no such tracepoint."""
    fd = int(library().bpf_raw_tracepoint_open(tracepoint.encode(), program_fd))
    if fd == -errno.ENOENT:
        return None
    if fd < 0:
        raise library().fail(f"cannot attach to {tracepoint}", fd)
    return fd


def attach_cgroup(program_fd: int, cgroup_fd: int, attach_type: int) -> int:
    """A descriptor that holds the program there."""
    fd = int(library().bpf_link_create(program_fd, cgroup_fd, attach_type, None))
    if fd < 0:
        raise library().fail("cannot attach to the cgroup", fd)
    return fd


def ids_of(fds: Iterable[int]) -> list[int]:
    """What the kernel calls programs, maps or links."""
    return [id_of(library(), fd) for fd in fds]


def _short(name: str) -> bytes:
    return name[:_NAME_MAX].encode()
