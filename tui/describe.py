"""Events, processes and numbers in a few words. What comes from the traced program is still raw here."""

from __future__ import annotations

import errno
import os
import signal
import stat
import time

from tracer.events import (
    Action,
    Boundary,
    Dns,
    Event,
    Exec,
    Exit,
    File,
    Flow,
    Level,
    Network,
    NetworkType,
    Process,
    Response,
    Result,
    Spoken,
    Taken,
)
from tracer.text import address

# Shape and word, so that a level can be told without colour.
LEVEL_MARKS = {
    Level.CRITICAL: "◆",
    Level.HIGH: "▲",
    Level.MEDIUM: "●",
    Level.LOW: "○",
    Level.INFORMATIONAL: "·",
}

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_OPEN_FLAGS = ("CREAT", "EXCL", "TRUNC", "APPEND", "NOFOLLOW", "DIRECTORY", "SYNC", "CLOEXEC", "NONBLOCK")


# Names that are too long for a column.
_SHORT_ACTIONS = {
    Action.CGROUP_MOVE: "cgroup",
    Action.NETWORK_ENTER: "net_enter",
    Action.IO_URING_SETUP: "io_uring",
    Action.MEMFD_CREATE: "memfd",
    Action.MODULE_LOAD: "module",
    Action.MODULE_UNLOAD: "unmodule",
    Action.MOUNT_SETATTR: "mnt_attr",
    Action.MOVE_MOUNT: "mnt_move",
    Action.PERF_EVENT_OPEN: "perf",
    Action.PIDFD_GETFD: "getfd",
    Action.PIVOT_ROOT: "pivot",
    Action.PROCESS_MEM_OPEN: "mem_open",
    Action.PROCESS_VM_WRITE: "mem_write",
    Action.USERFAULTFD: "faultfd",
}


def deed(taken: Taken) -> str:
    """What was done about a violation, in a word or two."""
    done = {
        Response.KILL: "killed",
        Response.KILL_SCOPE: "all killed",
        Response.FREEZE: "frozen",
        Response.DENY: "refused",
    }
    word = done.get(taken.response, taken.response.value)
    match taken.result:
        case Result.DONE:
            return word
        case Result.WOULD:
            return f"not {word}"
        case Result.GONE:
            return "gone"
        case _:
            return f"{taken.response.value} failed"


def action_word(action: Action) -> str:
    return _SHORT_ACTIONS.get(action) or action.value.removeprefix("file_")


def subject(event: Event) -> str:
    """What the event did it to, in one line."""
    detail = event.detail
    before = " (open before the watch)" if event.snapshot else ""
    if isinstance(detail, File):
        return _file(event.action, detail) + before
    if isinstance(detail, Network):
        return _network(event.action, detail) + before
    if isinstance(detail, Exec):
        return " ".join(detail.args) or detail.path
    if isinstance(detail, Exit):
        return exit_status(detail)
    if isinstance(detail, Boundary):
        return detail.words()
    parent = event.process.parent
    return f"by {parent.name}[{parent.pid}]" if parent else ""


def _file(action: Action, file: File) -> str:
    if action in {Action.FILE_RENAME, Action.FILE_LINK}:
        return f"{file.original_path} → {file.path}"
    return " ".join(filter(None, (file.path, _file_change(action, file))))


def _file_change(action: Action, file: File) -> str:
    match action:
        case Action.FILE_SYMLINK:
            return f"→ {file.target_path}"
        case Action.FILE_CLOSE:
            return byte_size(file.bytes_written)
        case Action.FILE_CHMOD | Action.FILE_MKDIR:
            return permissions(file.mode)
        case Action.FILE_CHOWN:
            return owner(file)
        case Action.FILE_TRUNCATE:
            return f"to {byte_size(file.size)}"
        case _:
            return ""


def owner(file: File) -> str:
    """What chown asked for, as chown(1) writes it; -1 keeps, and is left out."""
    user = "" if file.owner_id == -1 else str(file.owner_id)
    return user if file.group_id == -1 else f"{user}:{file.group_id}"


def permissions(mode: int) -> str:
    return f"{stat.S_IMODE(mode):04o}"


def open_flags(flags: int) -> str:
    """The flags of open(2) by name, the access mode first."""
    access = ("O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE")[flags & os.O_ACCMODE]
    return "|".join([access, *(f"O_{name}" for name in _OPEN_FLAGS if flags & getattr(os, f"O_{name}"))])


def _network(action: Action, network: Network) -> str:
    other = source(network) if action in OWN_END or network.direction == "ingress" else endpoint(network)
    return " ".join(filter(None, (other, said(network))))


OWN_END = frozenset({Action.BIND, Action.LISTEN})


def said(network: Network) -> str:
    """What went over the socket, in a few words; "" for an event that says nothing of it."""
    match network.more:
        case Spoken() as spoken:
            name = spoken.server_name or spoken.domain or spoken.banner or spoken.method
            return " ".join(filter(None, (spoken.protocol, name)))
        case Dns() as dns:
            return dns_message(dns)
        case Flow() as flow:
            return f"{byte_size(flow.bytes_out)} out, {byte_size(flow.bytes_in)} in"
        case None:
            return ""


def dns_message(dns: Dns) -> str:
    question = f"{dns.type} {dns.name}"
    if not dns.is_answer:
        return f"{question}?"
    answers = ", ".join(answer.data for answer in dns.answers if answer.type == dns.type)
    return f"{question} = {answers or dns.response_code}"


def source(network: Network) -> str:
    """The end that `endpoint` does not tell."""
    if not network.source_ip:
        return endpoint(network)
    return f"{network.transport} {address(network.source_ip, network.source_port)}"


def endpoint(network: Network) -> str:
    """The other side: "tcp 10.0.0.5:443 example.org", or "unix /run/x.sock"."""
    if network.type is NetworkType.UNIX:
        return f"unix {network.path or '(unnamed)'}"
    if network.family:
        return " ".join(filter(None, (network.family, network.transport, network.path)))
    peer = address(network.destination_ip, network.destination_port)
    return " ".join(word for word in (network.transport, peer, network.destination_domain) if word)


def exit_status(status: Exit) -> str:
    return f"killed by {signal_name(status.signal)}" if status.signal else f"status {status.code}"


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def error_name(number: int) -> str:
    """ENOENT and so on; "" for 0."""
    return errno.errorcode.get(number, f"errno {number}") if number else ""


def program(process: Process) -> tuple[str, str]:
    """The program's name, and its arguments: more or less what one would have typed.

    The name is the kernel's, as what stands in args[0] is anybody's choice. The kernel cuts it at 15 bytes;
    and for a script args[1] repeats it.
    """
    base = os.path.basename(process.executable)
    name = base if process.name and base.startswith(process.name) else process.name or base
    rest = process.args[1:]
    if rest and os.path.basename(rest[0]) == name:
        rest = rest[1:]
    return name, " ".join(rest)


def typed(process: Process) -> str:
    """`program` in one piece."""
    return " ".join(filter(None, program(process)))


def byte_size(count: int) -> str:
    size = float(count)
    for unit in _UNITS[:-1]:
        if size < 1024:
            return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} {_UNITS[-1]}"


def short_size(count: int) -> str:
    """As 12K, 340M, 1.2G."""
    size = float(count)
    for unit in ("", "K", "M", "G"):
        if size < 1000:
            return f"{size:.0f}{unit}" if size >= 10 or not unit else f"{size:.1f}{unit}"
        size /= 1024
    return f"{size:.1f}T"


def number(count: int) -> str:
    return f"{count:,}"


def several(count: int, noun: str) -> str:
    """As in 1 event, 7 events, 2 processes."""
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun}{'es' if noun.endswith('s') else 's'}"


def duration(duration_ns: int) -> str:
    """Hours, minutes and seconds; days in front once there are some."""
    minutes, seconds = divmod(max(0, duration_ns) // 1_000_000_000, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    clock = f"{hours:02}:{minutes:02}:{seconds:02}"
    return f"{days}d {clock}" if days else clock


def age(duration_ns: int) -> str:
    """In the two largest units that fit four cells or so: 7s, 3m20, 5h02, 12d."""
    seconds = max(0, duration_ns) // 1_000_000_000
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24}d"
    if hours:
        return f"{hours}h{minutes:02}"
    return f"{minutes}m{seconds:02}" if minutes else f"{seconds}s"


def clock_time(time_ns: int) -> str:
    """Time of day, local."""
    return time.strftime("%H:%M:%S", time.localtime(time_ns // 1_000_000_000))


def full_time(time_ns: int) -> str:
    """Date and time to the microsecond, local."""
    seconds, rest_ns = divmod(time_ns, 1_000_000_000)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) + f".{rest_ns // 1000:06}"


def zone(time_ns: int) -> str:
    """The time zone that times are shown in, and its offset from UTC."""
    return time.strftime("%Z %z", time.localtime(time_ns // 1_000_000_000))
