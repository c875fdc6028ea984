"""One record -> one event."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from tracer.context import boundaries, peers
from tracer.context.busy import busy_rows
from tracer.context.cuts import ANY_CUT, truncations
from tracer.context.fields import number
from tracer.context.history import History
from tracer.context.images import Images, executable_path
from tracer.context.links import Links
from tracer.context.names import Domains
from tracer.context.recent import Recent
from tracer.context.scopes import Scopes
from tracer.context.steps import Steps
from tracer.context.talk import Talk
from tracer.context.tree import ProcessTree
from tracer.errors import TraceError
from tracer.events import (
    Action,
    Busy,
    Category,
    Detail,
    Event,
    Evidence,
    Exec,
    Exit,
    File,
    Flow,
    Namespaces,
    Network,
    Outcome,
    Process,
    Response,
    StdioKind,
    Step,
)
from tracer.records import (
    NO_DESCRIPTOR,
    CgroupRecord,
    CloseRecord,
    ConnectRecord,
    ExecFailedRecord,
    ExecRecord,
    ExitRecord,
    Flag,
    FlowRecord,
    Kind,
    OpenRecord,
    PathRecord,
    PayloadRecord,
    Record,
)

PATHS_KEPT = 65_536  # of files open for writing: as many as the probes follow

# Plain numbers: an operation on an enum costs as much as all else that is done for a record.
_USER_EVIDENCE, _UNREADABLE, _DELETED, _LATE = (
    int(flag) for flag in (Flag.USER_EVIDENCE, Flag.UNREADABLE, Flag.DELETED, Flag.LATE)
)
_FOUND, _OPEN_BEFORE = int(Flag.FOUND), int(Flag.FOUND | Flag.INHERITED)
_KILLED, _JOINED = int(Flag.KILLED), int(Flag.JOINED)
_USER_ARGS = int(Flag.USER_ARGS)
_ANSWERED = int(Flag.REFUSED) | _KILLED
_CONNECT, _PROCESS, _BOUNDARY = int(Kind.CONNECT), int(Kind.PROCESS), int(Kind.BOUNDARY)
_EXEC = int(Kind.EXEC)
_OPEN = int(Kind.OPEN)

# connect(2): the attempt goes on after the call returned. 512 is ERESTARTSYS, include/linux/errno.h.
# Of what was found LATE: how it ended was not seen.
_GOES_ON = frozenset({errno.EINPROGRESS, errno.EINTR, 512})

_LAST_SIGNAL = 64  # signal(7)
# include/uapi/linux/fs.h and fcntl.h; the second in the upper half of a mode or an owner
_RENAME_EXCHANGE = 2
_SYMLINK_NOFOLLOW = 0x100 << 32
_SYMLINK_FOLLOW = 0x400

# enum rb_stdio
_STDIO = (
    StdioKind.CLOSED,
    StdioKind.FILE,
    StdioKind.PIPE,
    StdioKind.SOCKET,
    StdioKind.TERMINAL,
    StdioKind.OTHER,
)

_Named = OpenRecord | ExecFailedRecord | PathRecord
_ProcessOf = Callable[[Any], Process]
_DetailOf = Callable[[Any], Detail]
_Way = tuple[Action, Category, _ProcessOf, _DetailOf]


class Context:
    """What is known at one place in a trace; made new for each, and fed block by block.

    The events are numbered from 1 in the order `event` is called.
    """

    def __init__(self, session: Mapping[str, Any], steps: Iterable[Mapping[str, Any]] = ()) -> None:
        """`steps` are records of steps that are known ahead, in order of time.

        Raises TraceError when the session record does not say when the machine booted.
        """
        self._boot_ns = number(session, "boot_offset_ns")
        self._scopes = Scopes()
        self._images = Images(self._boot_ns, self._scopes)
        self._tree = ProcessTree(self._images)
        self._domains = Domains()
        self._talk = Talk(self._domains)
        self._paths: Recent[tuple[int, int], str] = Recent(PATHS_KEPT)  # by device and inode
        self._links = Links()
        self._history = History()
        self._redirected: Recent[tuple[int, int], bool] = Recent(PATHS_KEPT)  # by device and inode
        self._is_command_next = session.get("targets") == ["run"]
        self._steps = Steps(steps)
        self._sequence = 0
        self._told: list[Event] = []
        self._wire()

    def _wire(self) -> None:
        self._ways = self._make_ways()
        self._learners: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "name": self._domains.learn,
            "process": self._tree.learn,
            "user": self._images.learn_user,
            "scope": self._scopes.learn_scope,
            "container": self._scopes.learn_container,
            "step": self._steps.learn,
            "cpu": self._learn_busy,
        }

    def __getstate__(self) -> dict[str, Any]:
        """What it knows, to go on from there later (`tracer.frozen`)."""
        return {name: value for name, value in vars(self).items() if name not in ("_ways", "_learners")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._wire()

    def learn(self, records: Iterable[Mapping[str, Any]]) -> int:
        """Take in the context records of a block, before its events. Returns how many could not be read."""
        bad = 0
        for record in records:
            learner = self._learners.get(record["type"])
            if learner is not None:
                try:
                    learner(record)
                except TraceError:
                    bad += 1
        return bad

    def take_told(self) -> Sequence[Event]:
        """The events that context records tell of, since this was asked last; they come before those of the
        block."""
        told, self._told = self._told, []
        return told

    def _learn_busy(self, record: Mapping[str, Any]) -> None:
        """A `cpu` context record. Raises TraceError when it is not one."""
        time_ns = number(record, "time_ns")
        for row in busy_rows(record):
            process = self._tree.alive(row.pid, row.start_ns)
            if process is not None:
                self._tell(process, row.scope, time_ns, Busy(row.percent, row.threads))

    def _tell(self, process: Process, scope: int, time_ns: int, detail: Busy) -> None:
        self._sequence += 1
        event = Event(
            self._sequence,
            self._boot_ns + time_ns,
            Action.CPU,
            Category.PROCESS,
            Outcome.SUCCESS,
            0,
            process,
            process.pid,
            scope,
            Evidence.KERNEL,
            False,
            (),
            detail,
            *self._scopes.labels(scope),
            None,
            self._steps.of(process, 0, time_ns) if self._steps.told else None,
        )
        self._history.see(event)
        self._told.append(event)

    def event(self, record: Record) -> Event | None:
        """None for a record that is about a scope. Raises TraceError for a kind that is not known."""
        kind, result, flags = record.kind, record.result, record.flags
        way = self._ways.get(kind)
        if way is None:
            if isinstance(record, CgroupRecord):
                self._scopes.made(record)
                return None
            raise TraceError(f"a record of kind {kind}, which is not known")
        action, category, process_of, detail_of = way
        if kind == _BOUNDARY:
            action, category = boundaries.action_of(record)  # type: ignore[arg-type]
        elif kind == _OPEN and _is_read(record):  # type: ignore[arg-type]
            action = Action.FILE_READ
        process = process_of(record)
        if kind == _EXEC and record.env:  # type: ignore[attr-defined]
            self._steps.hear(process, record.env)  # type: ignore[attr-defined]
        step = self._steps.of(process, kind, record.time_ns) if self._steps.told else None
        detail = detail_of(record)
        if kind == _BOUNDARY and boundaries.changes_credentials(record):  # type: ignore[arg-type]
            self._tree.change_user(record)  # type: ignore[arg-type]
        outcome, error = Outcome.SUCCESS, 0
        if result < 0:
            error = -result
            goes_on = error in _GOES_ON and (kind == _CONNECT or flags & _LATE)
            outcome = Outcome.UNKNOWN if goes_on else Outcome.FAILURE
        self._sequence += 1
        event = Event(
            self._sequence,
            self._boot_ns + record.time_ns,
            action,
            category,
            outcome,
            error,
            process,
            record.tid,
            record.scope,
            Evidence.USER if flags & _USER_EVIDENCE else Evidence.KERNEL,
            kind == _PROCESS or flags & _FOUND != 0,
            truncations(record) if flags & ANY_CUT else (),
            detail,
            *self._scopes.labels(record.scope),
            _answer(flags) if flags & _ANSWERED else None,
            step,
        )
        self._history.see(event)
        return event

    @property
    def events(self) -> int:
        """How many there were so far; set where the first of them are not there any more."""
        return self._sequence

    @events.setter
    def events(self, count: int) -> None:
        self._sequence = count

    @property
    def steps(self) -> Sequence[Step]:
        """Those begun so far, the first of them when there are very many."""
        return self._steps.begun()

    def _make_ways(self) -> dict[int, _Way]:
        """For each kind of record what it is called, whose act it is, and what there is to say of it."""
        at = self._tree.at
        ways: dict[Kind, _Way] = {
            Kind.FORK: (Action.FORK, Category.PROCESS, self._tree.fork, _nothing),
            Kind.EXEC: (Action.EXEC, Category.PROCESS, self._tree.exec, self._executed),
            Kind.EXEC_FAILED: (Action.EXEC, Category.PROCESS, at, self._exec_failed),
            Kind.EXIT: (Action.EXIT, Category.PROCESS, self._tree.exit, _exit),
            Kind.PROCESS: (Action.EXEC, Category.PROCESS, self._tree.snapshot, self._snapshot),
            Kind.CONNECT: (Action.CONNECT, Category.NETWORK, at, self._network),
            Kind.BIND: (Action.BIND, Category.NETWORK, at, self._bound),
            Kind.LISTEN: (Action.LISTEN, Category.NETWORK, at, self._network),
            Kind.ACCEPT: (Action.ACCEPT, Category.NETWORK, at, self._network),
            Kind.SEND: (Action.SEND, Category.NETWORK, at, self._network),
            Kind.FLOW: (Action.FLOW, Category.NETWORK, at, self._flow),
            Kind.HEAD: (Action.SEND, Category.NETWORK, at, self._head),
            Kind.DNS: (Action.DNS, Category.NETWORK, at, self._dns),
            Kind.OPEN: (Action.FILE_WRITE, Category.FILE, at, self._opened),
            Kind.CLOSE: (Action.FILE_CLOSE, Category.FILE, at, self._closed),
            Kind.RENAME: (Action.FILE_RENAME, Category.FILE, at, self._renamed),
            Kind.UNLINK: (Action.FILE_UNLINK, Category.FILE, at, self._removed),
            Kind.LINK: (Action.FILE_LINK, Category.FILE, at, self._linked),
            Kind.SYMLINK: (Action.FILE_SYMLINK, Category.FILE, at, self._symlinked),
            Kind.MKDIR: (Action.FILE_MKDIR, Category.FILE, at, self._made_directory),
            Kind.RMDIR: (Action.FILE_RMDIR, Category.FILE, at, self._removed),
            Kind.TRUNCATE: (Action.FILE_TRUNCATE, Category.FILE, at, self._truncated),
            Kind.CHMOD: (Action.FILE_CHMOD, Category.FILE, at, self._mode_changed),
            Kind.CHOWN: (Action.FILE_CHOWN, Category.FILE, at, self._owner_changed),
            # What it is called is in the record.
            Kind.BOUNDARY: (Action.PTRACE, Category.PROCESS, at, boundaries.boundary),
        }
        return {int(kind): way for kind, way in ways.items()}

    def _executed(self, record: ExecRecord) -> Exec:
        if self._is_command_next or record.flags & _JOINED:
            self._is_command_next = False
            self._started_with(record)
        return _exec(record)

    def _started_with(self, record: ExecRecord) -> None:
        """Where whoever started the sandbox sent its output, as in `rubicon run -- agent >log`.

        Only of the command itself, of who was there at the attach, and of who comes in: later the
        sandbox itself can choose what is behind the descriptors 0 to 2.
        """
        for file in (record.stdin_file, record.stdout_file, record.stderr_file):
            if file.inode:
                self._redirected.put((file.device, file.inode), True)

    def _snapshot(self, record: ExecRecord) -> Exec:
        """Called after the tree took the record in, which knows the arguments."""
        self._started_with(record)
        found = _exec(record)
        return replace(found, filename=record.name or found.path, args=self._tree.at(record).args)

    def _network(self, record: ConnectRecord | PayloadRecord) -> Network:
        return peers.network_of(record, self._domains)

    def _bound(self, record: ConnectRecord) -> Network:
        self._talk.bound(record)
        return peers.network_of(record, self._domains)

    def _head(self, record: PayloadRecord) -> Network:
        return peers.network_of(record, self._domains, self._talk.head(record))

    def _dns(self, record: PayloadRecord) -> Network:
        return peers.network_of(record, self._domains, self._talk.message(record))

    def _flow(self, record: FlowRecord) -> Network:
        flow = Flow(
            record.bytes_in,
            record.bytes_out,
            record.packets_in,
            record.packets_out,
            record.duration_ns,
            record.flags & _LATE != 0,
        )
        return peers.network_of(record, self._domains, flow)

    def _opened(self, record: OpenRecord) -> File:
        if record.name or record.result < 0:
            path = self._path(record, follow=True)
        else:
            path = record.path
            if record.inode:
                self._paths.put((record.device, record.inode), path)
        if record.created and record.result >= 0:
            self._links.gone(path)
        inherited = record.flags & _OPEN_BEFORE != 0
        return File(
            path,
            inode=record.inode,
            device=record.device,
            flags=record.open_flags,
            mode=record.mode,
            created=record.created != 0,
            descriptor=max(record.result, -1) if record.result != NO_DESCRIPTOR else -1,
            inherited=inherited,
            redirected=inherited and self._redirected.get((record.device, record.inode)) is not None,
        )

    def _closed(self, record: CloseRecord) -> File:
        """A close found late has no path: it is the one the file had when it was opened, or ""."""
        path = record.path
        if record.flags & _LATE:
            path = self._paths.get((record.device, record.inode)) or ""
        return File(
            path,
            "",
            "",
            record.inode,
            record.device,
            0,
            record.mode,
            False,
            0,
            record.bytes,
            record.writes,
        )

    def _path(self, record: _Named, *, follow: bool = False) -> str:
        return self._resolved(record.path, record.name, record.flags, follow=follow)

    def _second_path(self, record: PathRecord) -> str:
        return self._resolved(record.path2, record.name2, record.flags)

    def _resolved(self, base: str, name: str, flags: int, *, follow: bool = False) -> str:
        """ "" for a name that could not be read, and not the directory it would have been in."""
        if not name and flags & _UNREADABLE and flags & _USER_EVIDENCE:
            return ""
        return self._links.resolved(base, name, follow=follow)

    def _exec_failed(self, record: ExecFailedRecord) -> Exec:
        """Nothing is known of the file, nor asked about the streams: no new program is there to use them."""
        path, other = self._path(record, follow=True), StdioKind.OTHER
        from_caller = record.flags & _USER_ARGS != 0
        return Exec(
            path,
            record.name,
            record.args,
            0,
            0,
            False,
            other,
            other,
            other,
            "",
            args_from_caller=from_caller,
        )

    def _removed(self, record: PathRecord) -> File:
        path = self._path(record)
        if record.result >= 0:
            self._links.gone(path)
        return File(path, "", "", record.inode, record.device)

    def _renamed(self, record: PathRecord) -> File:
        old, new = self._path(record), self._second_path(record)
        if record.result >= 0:
            self._links.moved(old, new, exchanged=record.value & _RENAME_EXCHANGE != 0)
        return File(new, old, "", record.inode, record.device)

    def _linked(self, record: PathRecord) -> File:
        old = self._path(record, follow=record.value & _SYMLINK_FOLLOW != 0)
        new = self._second_path(record)
        if record.result >= 0:
            self._links.linked(old, new)
        return File(new, old, "", record.inode, record.device)

    def _symlinked(self, record: PathRecord) -> File:
        path = self._path(record)
        if record.result >= 0:
            self._links.made(path, record.name2)
        return File(path, target_path=record.name2)

    def _made_directory(self, record: PathRecord) -> File:
        path = self._path(record)
        if record.result >= 0:
            self._links.gone(path)
        return File(path, inode=record.inode, device=record.device, mode=record.value & 0o7777)

    def _truncated(self, record: PathRecord) -> File:
        path = self._path(record, follow=True)
        return File(path, inode=record.inode, device=record.device, size=record.value)

    def _mode_changed(self, record: PathRecord) -> File:
        path = self._path(record, follow=not record.value & _SYMLINK_NOFOLLOW)
        return File(path, inode=record.inode, device=record.device, mode=record.value & 0o7777)

    def _owner_changed(self, record: PathRecord) -> File:
        return File(
            self._path(record, follow=not record.value & _SYMLINK_NOFOLLOW),
            inode=record.inode,
            device=record.device,
            owner_id=_id(record.value),
            group_id=_id(record.value2),
        )


_CHANGES = os.O_ACCMODE | os.O_TRUNC


def _is_read(record: OpenRecord) -> bool:
    """It was opened for reading alone; who could not open it for writing, or create it, is another matter."""
    return not (record.open_flags & _CHANGES or record.created or record.name) and record.result >= 0


def _answer(flags: int) -> Response:
    return Response.KILL if flags & _KILLED else Response.DENY


def _nothing(_record: Record) -> None:
    return None


def _exec(record: ExecRecord) -> Exec:
    stdin, stdout, stderr = _stdio(record.stdio)
    return Exec(
        executable_path(record),
        record.name,
        record.args,
        record.inode,
        record.device,
        record.flags & _DELETED != 0,
        stdin,
        stdout,
        stderr,
        peers.endpoint(record.stdin_peer) if stdin is StdioKind.SOCKET else "",
        _namespaces(record.ns_mnt, record.ns_net, record.ns_pidns, record.ns_user),
    )


@lru_cache(maxsize=1024)
def _namespaces(mount: int, network: int, pid: int, user: int) -> Namespaces:
    return Namespaces(mount, network, pid, user)


@lru_cache(maxsize=1024)
def _stdio(kinds: bytes) -> tuple[StdioKind, StdioKind, StdioKind]:
    stdin, stdout, stderr = (
        _STDIO[kind] if kind < len(_STDIO) else StdioKind.OTHER for kind in kinds[:3].ljust(3, b"\xff")
    )
    return stdin, stdout, stderr


def _exit(record: ExitRecord) -> Exit:
    """wait(2): the signal in the low seven bits, else the code in the next byte."""
    signal = record.status & 0x7F
    if signal > _LAST_SIGNAL:
        raise TraceError(f"a process that ended by signal {signal}")
    return Exit(0 if signal else record.status >> 8 & 0xFF, signal)


def _id(value: int) -> int:
    """chown(2): -1 keeps. A uid_t has 32 bits, the upper half of the register is not looked at."""
    low = value & 0xFFFF_FFFF
    return -1 if low == 0xFFFF_FFFF else low
