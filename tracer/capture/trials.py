"""What only a try can tell: kinds of programs, and ways into the kernel. Nothing stays behind a try.

A trial program returns 0 and does nothing else. It is attached for an instant, to a function that the kernel
has for such tests (net/bpf/test_run.c), or, where it must be a security hook, to the one that is asked when
the clock is set; 0 allows that, as if nobody had been asked.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from tracer.capture.libbpf import try_program

# enum bpf_prog_type and enum bpf_attach_type, include/uapi/linux/bpf.h
_TRACING, _LSM = 26, 29
_FENTRY, _FEXIT, _MODIFY_RETURN, _LSM_MAC = 24, 25, 26, 27
_PROGRAMS = {
    "fentry": (_TRACING, _FENTRY, "bpf_fentry_test1"),
    "fexit": (_TRACING, _FEXIT, "bpf_fentry_test1"),
    "fmod_ret": (_TRACING, _MODIFY_RETURN, "security_settime64"),
    "lsm": (_LSM, _LSM_MAC, "settime"),
}
_MEANINGS = {
    errno.EPERM: "this kernel refuses it whatever the privileges",
    errno.ENOENT: "this kernel is built without it",
    errno.ESRCH: "this kernel is built without it",
    errno.EINVAL: "this kernel does not know it",
    errno.EOPNOTSUPP: "this kernel or processor cannot do it",
    524: "this kernel or processor cannot do it",  # ENOTSUPP, include/linux/errno.h
    errno.EBUSY: "something else holds the function",
}
_SECONDS_MAX = 30  # an emulated processor takes its time
_NO_ANSWER = f"no answer within {_SECONDS_MAX} seconds"
_X32 = 0x40000000
# getpid through `int 0x80`, in a process of its own: where the kernel does not take it, it is a SIGSEGV.
_INT80 = """
import ctypes, mmap, os, resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes.fromhex("53 b814000000 cd80 5b c3"))  # push rbx; mov eax, 20; int 0x80; pop rbx; ret
call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
os._exit(0 if call() == os.getpid() else 1)
"""
# getpid again; a seccomp filter may answer with a signal, so this is not for our own process either.
_X32_GETPID = f"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
found = libc.syscall({_X32 | 39})
os._exit(0 if found == os.getpid() else min(ctypes.get_errno(), 254) or 255)
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether something is there; `yes` is None when it was not looked at, `why` says why not."""

    name: str
    yes: bool | None
    why: str = ""


def try_programs(trial: Callable[[int, int, str], None] = try_program) -> tuple[Answer, ...]:
    """Kinds of programs; tier A is made of fentry and fexit. To be asked with the privileges to load them."""
    return tuple(_try(name, trial, *how) for name, how in _PROGRAMS.items())


def try_inner(trial: Callable[[int, int, str], None] = try_program) -> Answer:
    """Whether hooks inside the kernel's functions are allowed: where fexit is, fentry is."""
    return _try("fexit", trial, *_PROGRAMS["fexit"])


def try_lsm(trial: Callable[[int, int, str], None] = try_program) -> Answer:
    """Whether BPF programs are taken as a security module; not whether they are asked."""
    return _try("lsm", trial, *_PROGRAMS["lsm"])


def _try(name: str, trial: Callable[[int, int, str], None], *how: int | str) -> Answer:
    try:
        trial(*how)  # type: ignore[arg-type]
    except OSError as error:
        meaning = _MEANINGS.get(error.errno or 0, "")
        return Answer(name, False, f"{error.strerror}{f' ({meaning})' if meaning else ''}")
    return Answer(name, True)


def try_calls(machine: str) -> tuple[Answer, ...]:
    """The other tables of system calls that an x86-64 kernel may have. `machine` as uname(2) says it."""
    if machine != "x86_64":
        return ()
    return (_int80(_status_of(_INT80)), _x32(_status_of(_X32_GETPID)))


def _status_of(code: str) -> int | None:
    """The exit status of a Python program; negative for a signal, None when it did not end."""
    argv = [sys.executable, "-I", "-S", "-c", code]
    try:
        return subprocess.run(argv, capture_output=True, timeout=_SECONDS_MAX, check=False).returncode
    except subprocess.TimeoutExpired:
        return None


def _int80(status: int | None) -> Answer:
    name = "32-bit calls (int 0x80)"
    if status is None:
        return Answer(name, None, _NO_ANSWER)
    if status == 0:
        return Answer(name, True)
    return Answer(name, False, "refused: the kernel has none, or a filter forbids them")


def _x32(status: int | None) -> Answer:
    name = "x32 calls"
    if status is None:
        return Answer(name, None, _NO_ANSWER)
    if status == 0:
        return Answer(name, True)
    if status == errno.ENOSYS:
        return Answer(name, False, "this kernel has none")
    return Answer(name, False, f"refused: {os.strerror(status) if status > 0 else 'a filter forbids them'}")
