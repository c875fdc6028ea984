"""libbpf through ctypes: the few calls that load, attach and read an object. Nothing else imports it.

API: libbpf's own headers, bpf/libbpf.h and bpf/bpf.h, version 1.0 and later. Every failed call raises
KernelError with libbpf's own words in it.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path

from tracer.errors import KernelError

_SONAME = "libbpf.so.1"
_WARN = 0  # enum libbpf_print_level
_MESSAGE_BYTES = 1 << 20  # a verifier log is one message
_RETURN_0 = bytes.fromhex("b7000000000000009500000000000000")  # r0 = 0; exit

_PrintFunction = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


class _OpenOptions(ctypes.Structure):
    """struct bpf_object_open_opts, as far as it is used; libbpf takes a shorter one than its own."""

    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("object_name", ctypes.c_char_p),
        ("relaxed_maps", ctypes.c_bool),
        ("pin_root_path", ctypes.c_char_p),
        ("stub", ctypes.c_uint32),
        ("kconfig", ctypes.c_char_p),
        ("btf_custom_path", ctypes.c_char_p),
    )


class _TestRunOptions(ctypes.Structure):
    """struct bpf_test_run_opts, up to what a run without input needs."""

    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("data_in", ctypes.c_void_p),
        ("data_out", ctypes.c_void_p),
        ("data_size_in", ctypes.c_uint32),
        ("data_size_out", ctypes.c_uint32),
        ("ctx_in", ctypes.c_void_p),
        ("ctx_out", ctypes.c_void_p),
        ("ctx_size_in", ctypes.c_uint32),
        ("ctx_size_out", ctypes.c_uint32),
        ("retval", ctypes.c_uint32),
        ("repeat", ctypes.c_int),
        ("duration", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("cpu", ctypes.c_uint32),
        ("batch_size", ctypes.c_uint32),
    )


class _LoadOptions(ctypes.Structure):
    """struct bpf_prog_load_opts, up to what a program without maps needs."""

    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("attempts", ctypes.c_int),
        ("expected_attach_type", ctypes.c_int),
        ("prog_btf_fd", ctypes.c_uint32),
        ("prog_flags", ctypes.c_uint32),
        ("prog_ifindex", ctypes.c_uint32),
        ("kern_version", ctypes.c_uint32),
        ("attach_btf_id", ctypes.c_uint32),
        ("attach_prog_fd", ctypes.c_uint32),
    )


_POINTER, _INT, _TEXT, _SIZE = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t
_SIGNATURES: dict[str, tuple[type, list[type]]] = {
    "libbpf_set_print": (_POINTER, [_PrintFunction]),
    "libbpf_num_possible_cpus": (_INT, []),
    "bpf_object__open_file": (_POINTER, [_TEXT, _POINTER]),
    "bpf_object__load": (_INT, [_POINTER]),
    "bpf_object__close": (None, [_POINTER]),  # type: ignore[dict-item]
    "bpf_object__btf": (_POINTER, [_POINTER]),
    "btf__raw_data": (_POINTER, [_POINTER, ctypes.POINTER(ctypes.c_uint32)]),
    "bpf_object__find_map_by_name": (_POINTER, [_POINTER, _TEXT]),
    "bpf_map__set_max_entries": (_INT, [_POINTER, ctypes.c_uint32]),
    "bpf_map__max_entries": (ctypes.c_uint32, [_POINTER]),
    "bpf_map__fd": (_INT, [_POINTER]),
    "bpf_map__initial_value": (_POINTER, [_POINTER, ctypes.POINTER(_SIZE)]),
    "bpf_object__find_program_by_name": (_POINTER, [_POINTER, _TEXT]),
    "bpf_object__next_program": (_POINTER, [_POINTER, _POINTER]),
    "bpf_program__name": (_TEXT, [_POINTER]),
    "bpf_program__fd": (_INT, [_POINTER]),
    "bpf_program__set_autoload": (_INT, [_POINTER, ctypes.c_bool]),
    "bpf_program__set_attach_target": (_INT, [_POINTER, _INT, _TEXT]),
    "bpf_program__attach": (_POINTER, [_POINTER]),
    "bpf_program__attach_cgroup": (_POINTER, [_POINTER, _INT]),
    "bpf_program__attach_iter": (_POINTER, [_POINTER, _POINTER]),
    "bpf_link__fd": (_INT, [_POINTER]),
    "bpf_link__destroy": (_INT, [_POINTER]),
    "bpf_iter_create": (_INT, [_INT]),
    "bpf_map_update_elem": (_INT, [_INT, _POINTER, _POINTER, ctypes.c_uint64]),
    "bpf_map_lookup_elem": (_INT, [_INT, _POINTER, _POINTER]),
    "bpf_map_create": (_INT, [_INT, _TEXT, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32, _POINTER]),
    "bpf_link_create": (_INT, [_INT, _INT, _INT, _POINTER]),
    "bpf_btf_load": (_INT, [_TEXT, _SIZE, _POINTER]),
    "bpf_map_delete_elem": (_INT, [_INT, _POINTER]),
    "bpf_map_get_next_key": (_INT, [_INT, _POINTER, _POINTER]),
    "bpf_object__next_map": (_POINTER, [_POINTER, _POINTER]),
    "bpf_obj_get_info_by_fd": (_INT, [_INT, _POINTER, ctypes.POINTER(ctypes.c_uint32)]),
    "bpf_prog_test_run_opts": (_INT, [_INT, _POINTER]),
    "bpf_program__section_name": (_TEXT, [_POINTER]),
    "libbpf_version_string": (_TEXT, []),
    "libbpf_find_vmlinux_btf_id": (_INT, [_TEXT, _INT]),
    "bpf_prog_load": (_INT, [_INT, _TEXT, _TEXT, _POINTER, _SIZE, _POINTER]),
    "bpf_raw_tracepoint_open": (_INT, [_TEXT, _INT]),
}


@cache
def library() -> Library:
    """The loaded library: one, as libbpf keeps one pointer to where it prints. Raises KernelError."""
    return Library()


class Library:
    """The loaded library, and the last warnings it printed. Raises KernelError when it is not installed."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(_SONAME, use_errno=True)
        except OSError:
            raise KernelError(f"{_SONAME} is missing: apt-get install libbpf1") from None
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, arguments
        self.warnings: deque[str] = deque(maxlen=20)
        self._print = _PrintFunction(self._keep_warning)
        self._listen()

    def _listen(self) -> None:
        self._library.libbpf_set_print(self._print)

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """To all that libbpf says: of a load thousands of things, for its authors, and each would
        wait for the interpreter."""
        self._library.libbpf_set_print(_PrintFunction())
        try:
            yield
        finally:
            self._listen()

    def __getattr__(self, name: str) -> ctypes._NamedFuncPointer:
        function: ctypes._NamedFuncPointer = getattr(self._library, name)
        return function

    @property
    def version(self) -> str:
        text: bytes = self._library.libbpf_version_string()
        return text.decode("ascii", "replace").removeprefix("v")

    def _keep_warning(self, level: int, form: bytes, arguments: int) -> int:
        """Called from C: must not raise."""
        try:
            if level == _WARN:
                buffer = ctypes.create_string_buffer(_MESSAGE_BYTES)
                ctypes.CDLL(None).vsnprintf(buffer, _MESSAGE_BYTES, form, ctypes.c_void_p(arguments))
                self.warnings.append(buffer.value.decode("utf-8", "replace").strip())
        except Exception:  # noqa: BLE001  an exception has nowhere to go from here
            return 0
        return 0

    def fail(self, what: str, code: int = 0) -> KernelError:
        """The error for a failed call; `code` is errno, by default the current one."""
        code = abs(code) or ctypes.get_errno()
        reason = os.strerror(code) if code else "unknown error"
        said = f" ({self.warnings[-1]})" if self.warnings else ""
        return KernelError(f"{what}: {reason}{said}")


def _give_back_memory() -> None:
    """To the kernel: what libbpf needed for a load is as much as all that stays, and glibc would keep it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def try_program(program_type: int, attach_type: int, function: str) -> None:
    """Load a program that does nothing, attach it to a kernel function, and take it away again.

    Types: enum bpf_prog_type, enum bpf_attach_type of linux/bpf.h. Raises OSError: what the kernel said.
    """
    lib = library()
    lib.warnings.clear()
    target = lib.libbpf_find_vmlinux_btf_id(function.encode(), attach_type)
    if target < 0:
        raise OSError(-target, f"no function {function} in the type information")
    options = _LoadOptions(sz=ctypes.sizeof(_LoadOptions))
    options.expected_attach_type, options.attach_btf_id = attach_type, target
    fd = lib.bpf_prog_load(program_type, b"doctor", b"GPL", _RETURN_0, 2, ctypes.byref(options))
    if fd < 0:
        raise OSError(-fd, f"load: {os.strerror(-fd)}")
    try:
        link = lib.bpf_raw_tracepoint_open(None, fd)
        if link < 0:
            raise OSError(-link, f"attach: {os.strerror(-link)}")
        os.close(link)
    finally:
        os.close(fd)


def refusal(warnings: Iterable[str]) -> str:
    """Which program the verifier refused, and its last words: from what libbpf printed, or ""."""
    for warning in warnings:
        head, found, log = warning.partition("-- BEGIN PROG LOAD LOG --\n")
        lines = [line for line in log.splitlines() if line and not line.startswith(("processed ", "-- END"))]
        if found and lines:
            return f" ({head.removeprefix('libbpf: ').rstrip(' :')}: {lines[-1]})"
    return ""


def id_of(library: Library, fd: int) -> int:
    """Of a program, map or link: struct bpf_prog_info, bpf_map_info and bpf_link_info begin with the type and
    the id.
    """
    info, size = (ctypes.c_uint32 * 2)(), ctypes.c_uint32(8)
    if code := library.bpf_obj_get_info_by_fd(fd, info, ctypes.byref(size)):
        raise library.fail("cannot ask the kernel for the id of a probe", code)
    return info[1]


def run_program(fd: int, name: str) -> int:
    """Run a raw tracepoint program once, here and now; what it returns."""
    options = _TestRunOptions(sz=ctypes.sizeof(_TestRunOptions))
    if code := library().bpf_prog_test_run_opts(fd, ctypes.byref(options)):
        raise library().fail(f"cannot run {name}", code if code < -1 else errno.EIO)
    return int(options.retval)


def keys_of(fd: int, size: int, most: int) -> list[bytes]:
    """Of a map, by its descriptor; not many more than `most`, as a walk begins anew where a key has gone."""
    found: list[bytes] = []
    key, following = None, ctypes.create_string_buffer(size)
    while len(found) <= most and not library().bpf_map_get_next_key(fd, key, following):
        key = following.raw
        found.append(key)
    return found


def items_of(fd: int, key_size: int, value_size: int, most: int) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    value = ctypes.create_string_buffer(value_size)
    for key in keys_of(fd, key_size, most):
        if not library().bpf_map_lookup_elem(fd, key, value):
            found[key] = value.raw
    return found


class Map:
    """A map of a loaded object."""

    def __init__(self, library: Library, pointer: int, name: str) -> None:
        self._library, self._pointer, self.name = library, pointer, name

    @property
    def fd(self) -> int:
        return int(self._library.bpf_map__fd(self._pointer))

    @property
    def max_entries(self) -> int:
        return int(self._library.bpf_map__max_entries(self._pointer))

    def resize(self, entries: int) -> None:
        """Before the object is loaded."""
        if code := self._library.bpf_map__set_max_entries(self._pointer, entries):
            raise self._library.fail(f"cannot size the map {self.name}", code)

    def memory(self) -> memoryview:
        """The variables of a data section; what is written there before the load is their first value."""
        size = _SIZE()
        address = self._library.bpf_map__initial_value(self._pointer, ctypes.byref(size))
        if not address:
            raise self._library.fail(f"cannot reach the variables in {self.name}")
        return memoryview((ctypes.c_ubyte * size.value).from_address(address)).cast("B")

    def update(self, key: bytes, value: bytes) -> None:
        if self._library.bpf_map_update_elem(self.fd, key, value, 0):
            raise self._library.fail(f"cannot write to the map {self.name}")

    def delete(self, key: bytes) -> None:
        """Nothing when it is not there."""
        self._library.bpf_map_delete_elem(self.fd, key)

    def value(self, key: bytes, size: int) -> bytes:
        """Of an entry that is there."""
        found = ctypes.create_string_buffer(size)
        if self._library.bpf_map_lookup_elem(self.fd, key, found):
            raise self._library.fail(f"cannot read the map {self.name}")
        return found.raw

    def keys(self, size: int) -> list[bytes]:
        """All keys, each of `size` bytes; what comes and goes meanwhile may be missing."""
        return keys_of(self.fd, size, self.max_entries)

    def items(self, key_size: int, value_size: int) -> dict[bytes, bytes]:
        """All entries; what comes and goes meanwhile may be missing."""
        return items_of(self.fd, key_size, value_size, self.max_entries)


class Object:
    """A BPF object file. To be opened, prepared, loaded, attached, and closed whatever happened."""

    def __init__(self, path: Path, kernel_btf: Path | None = None) -> None:
        self._library = library()
        options = _OpenOptions(sz=ctypes.sizeof(_OpenOptions))
        if kernel_btf is not None:
            options.btf_custom_path = os.fsencode(kernel_btf)
        self._links: list[int] = []
        self._pointer = self._library.bpf_object__open_file(os.fsencode(path), ctypes.byref(options))
        if not self._pointer:
            raise self._library.fail(f"cannot open the probes {path}")

    @property
    def possible_cpus(self) -> int:
        return int(self._library.libbpf_num_possible_cpus())

    def btf(self) -> bytes:
        """The type information in the object, raw."""
        size = ctypes.c_uint32()
        address = self._library.btf__raw_data(
            self._library.bpf_object__btf(self._pointer), ctypes.byref(size)
        )
        if not address:
            raise self._library.fail("the probes have no type information")
        return ctypes.string_at(address, size.value)

    def map(self, name: str) -> Map:
        pointer = self._library.bpf_object__find_map_by_name(self._pointer, name.encode())
        if not pointer:
            raise KernelError(f"the probes have no map {name}: they are from another version")
        return Map(self._library, pointer, name)

    def leave_out(self, program: str) -> None:
        """Before the object is loaded: a program that this kernel has no place for."""
        if code := self._library.bpf_program__set_autoload(self._program(program), False):
            raise self._library.fail(f"cannot leave out {program}", code)

    def aim(self, program: str, target: str) -> None:
        """Before the object is loaded: at a tracepoint or function of another name than its section says."""
        if code := self._library.bpf_program__set_attach_target(self._program(program), 0, target.encode()):
            raise self._library.fail(f"cannot aim {program} at {target}", code)

    def load(self, *, listen: bool = True) -> None:
        """Verify and load all programs. An object can be loaded once, also when that fails.

        listen    for the reason of a failure, which takes half as long again
        """
        self._library.warnings.clear()
        with nullcontext() if listen else self._library.deaf():
            code = self._library.bpf_object__load(self._pointer)
        if code:
            reason = refusal(self._library.warnings)
            raise self._library.fail(f"the kernel refused the probes{reason}", code)
        _give_back_memory()

    def attach(self, program: str) -> None:
        pointer = self._program(program)
        link = self._library.bpf_program__attach(pointer)
        if not link:
            raise self._library.fail(f"cannot attach {program}")
        self._links.append(link)

    def attach_cgroup(self, program: str, cgroup: int) -> None:
        """To all that is in the cgroup of that descriptor, and below it."""
        link = self._library.bpf_program__attach_cgroup(self._program(program), cgroup)
        if not link:
            raise self._library.fail(f"cannot attach {program}")
        self._links.append(link)

    def sections(self) -> dict[str, str]:
        """Where each program wants to go: {"on_fork": "tp_btf/sched_process_fork", ...}."""
        return {
            name: self._library.bpf_program__section_name(pointer).decode()
            for name, pointer in self._programs()
        }

    def _programs(self) -> Iterator[tuple[str, int]]:
        pointer = None
        while pointer := self._library.bpf_object__next_program(self._pointer, pointer):
            name: bytes = self._library.bpf_program__name(pointer)
            yield name.decode(), pointer

    def ids(self) -> dict[str, list[int]]:
        """What the kernel calls the loaded programs, maps and links."""
        lib = self._library
        programs = [lib.bpf_program__fd(pointer) for _name, pointer in self._programs()]
        maps, pointer = [], None
        while pointer := lib.bpf_object__next_map(self._pointer, pointer):
            maps.append(lib.bpf_map__fd(pointer))
        links = [lib.bpf_link__fd(link) for link in self._links]
        kinds = {"programs": programs, "maps": maps, "links": links}
        return {kind: [id_of(lib, fd) for fd in fds if fd >= 0] for kind, fds in kinds.items()}

    def iterate(self, program: str) -> bytes:
        """Run an iterator program over all the kernel has; what it wrote."""
        link = self._library.bpf_program__attach_iter(self._program(program), None)
        if not link:
            raise self._library.fail(f"cannot attach {program}")
        try:
            descriptor = self._library.bpf_iter_create(self._library.bpf_link__fd(link))
            if descriptor < 0:
                raise self._library.fail(f"cannot run {program}", descriptor)
            with open(descriptor, "rb") as output:
                return output.read()
        finally:
            self._library.bpf_link__destroy(link)

    def run(self, program: str) -> None:
        """Run a raw tracepoint program once, here and now."""
        run_program(self._library.bpf_program__fd(self._program(program)), program)

    def _program(self, name: str) -> int:
        pointer = self._library.bpf_object__find_program_by_name(self._pointer, name.encode())
        if not pointer:
            raise KernelError(f"the probes have no program {name}: they are from another version")
        return int(pointer)

    def detach(self) -> None:
        while self._links:
            self._library.bpf_link__destroy(self._links.pop())

    def close(self) -> None:
        self.detach()
        if self._pointer:
            self._library.bpf_object__close(self._pointer)
            self._pointer = None
