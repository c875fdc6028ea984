"""The writer: what is on disk, the chain under several threads, and a disk that is full."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tracer.errors import TraceError
from tracer.trace import (
    MAX_CONTEXT_BYTES,
    MAX_RAW_BYTES,
    Block,
    Follower,
    Reader,
    Section,
    TraceState,
    Writer,
    WriterState,
    ring_records,
    ring_section,
    verify,
)

SESSION = {"type": "session", "id": "s1"}
END = {"type": "end"}
CLONE_NEWNS = 0x00020000
MS_REC_PRIVATE = 0x4000 | 0x40000


def section_of(records: int, size: int = 24, first_ns: int = 100) -> Section:
    return ring_section([os.urandom(size) for _ in range(records)], first_ns, first_ns + records)


def blocks_of(path: Path) -> list[Block]:
    with Reader(path) as reader:
        blocks = list(reader)
        assert reader.damage is None
        return blocks


def test_file_is_private_and_locked_until_closed(tmp_path: Path) -> None:
    path = tmp_path / "t"
    old_umask = os.umask(0)
    try:
        writer = Writer(path)
    finally:
        os.umask(old_umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open("rb") as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        writer.close()
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_never_overwrites_nor_follows_links(tmp_path: Path) -> None:
    existing = tmp_path / "existing"
    existing.write_text("precious")
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "elsewhere")
    for path in (existing, dangling, tmp_path / "no" / "folder"):
        with pytest.raises(TraceError, match="cannot create the trace"):
            Writer(path)
    assert existing.read_text() == "precious"
    assert not (tmp_path / "elsewhere").exists()


def test_blocks_come_back_as_they_were_appended(tmp_path: Path) -> None:
    critical, bulk = section_of(3, 13, 500), section_of(2, 5000, 400)
    path = tmp_path / "t"
    with Writer(path) as writer:
        writer.append([SESSION, {"type": "process", "executable": "/bin/\udcff\n"}])
        writer.append((), critical, bulk, lost_critical=7, lost_bulk=11)
        writer.append([END])
    first, second, third = blocks_of(path)
    assert first.context[1]["executable"] == "/bin/\udcff\n"
    assert (second.critical, second.bulk) == (critical.data, bulk.data)
    assert [len(record) for record in ring_records(second.critical)] == [13] * 3
    assert (second.header.first_ns, second.header.last_ns) == (400, 503)
    assert (second.header.critical_records, second.header.bulk_records) == (3, 2)
    # Who does not know the losses does not take them back.
    assert (third.header.lost_critical, third.header.lost_bulk) == (7, 11)
    assert third.ends_trace
    assert verify(path).state is TraceState.UNSEALED


def test_nothing_to_say_writes_nothing_but_new_losses_do(tmp_path: Path) -> None:
    with Writer(tmp_path / "t") as writer:
        writer.append([SESSION], lost_bulk=1)
        writer.append()
        writer.append(lost_bulk=1)
        writer.append(lost_bulk=2)
    assert [block.header.lost_bulk for block in blocks_of(tmp_path / "t")] == [1, 2]


def test_refuses_more_than_a_block_may_hold_and_keeps_the_chain(tmp_path: Path) -> None:
    with Writer(tmp_path / "t") as writer:
        writer.append([SESSION])
        with pytest.raises(ValueError, match="in one block"):
            writer.append((), Section(bytes(MAX_RAW_BYTES + 8), 1, 0, 0))
        with pytest.raises(ValueError, match="of context"):
            writer.append([{"type": "notice", "message": "x" * MAX_CONTEXT_BYTES}])
        with pytest.raises(TypeError):
            writer.append([{"type": "notice", "message": object()}])
        writer.append([END])
    assert verify(tmp_path / "t").state is TraceState.UNSEALED


def test_closed_writer_refuses(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "t")
    writer.append([SESSION])
    assert writer.close()
    assert writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.append([END])


def test_threads_append_one_sound_chain(tmp_path: Path) -> None:
    path, threads, each = tmp_path / "t", 7, 53
    woken: list[int] = []
    start = threading.Barrier(threads)
    with Writer(path, on_append=lambda: woken.append(1)) as writer:
        writer.append([SESSION])

        def append(number: int) -> None:
            start.wait()
            for index in range(each):
                writer.append([{"type": "notice", "thread": number, "index": index}], section_of(1))

        workers = [threading.Thread(target=append, args=(number,)) for number in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        writer.append([END])
    verdict = verify(path)
    assert verdict.state is TraceState.UNSEALED
    assert (verdict.blocks, verdict.events) == (threads * each + 2, threads * each)
    notices = [record for block in blocks_of(path) for record in block.context if record["type"] == "notice"]
    for number in range(threads):
        assert [n["index"] for n in notices if n["thread"] == number] == list(range(each))
    assert len(woken) == threads * each + 3  # and once at close


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 256 KiB in a mount namespace of this thread alone, gone with that namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    folder = os.getcwd()
    disk = tmp_path / "disk"
    disk.mkdir()
    if libc.unshare(CLONE_NEWNS) != 0:
        os.close(home)
        pytest.skip(f"no mount namespace: {errno.errorcode[ctypes.get_errno()]} (needs root)")
    try:
        assert libc.mount(None, b"/", None, MS_REC_PRIVATE, None) == 0
        assert libc.mount(b"none", os.fsencode(disk), b"tmpfs", 0, b"size=256k") == 0
        yield disk
        assert libc.umount2(os.fsencode(disk), 2) == 0  # MNT_DETACH
    finally:
        assert libc.setns(home, CLONE_NEWNS) == 0
        os.close(home)
        os.chdir(folder)


def fill(disk: Path) -> Path:
    """Leave no free byte on `disk`."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017  (what ends the loop, not what is tested)
                break
    return filler


def test_full_disk_keeps_blocks_in_memory_and_writes_them_later(small_disk: Path) -> None:
    path = small_disk / "t"
    states: list[WriterState] = []
    writer = Writer(path, on_state=states.append)
    writer.append([SESSION])
    filler = fill(small_disk)
    sections = [section_of(11, 1000) for _ in range(5)]
    for section in sections:
        writer.append((), section)
    assert writer.state is WriterState.MEMORY
    assert writer.pending_bytes > 11_000 * 4
    assert not writer.flush()
    on_disk = verify(path)
    assert on_disk.state is TraceState.LIVE
    assert on_disk.size_bytes == path.stat().st_size
    filler.unlink()
    writer.append([END])
    assert writer.close()
    assert writer.pending_bytes == 0
    assert states == [WriterState.MEMORY, WriterState.OK]
    assert verify(path).state is TraceState.UNSEALED
    assert [block.critical for block in blocks_of(path)] == [b"", *(s.data for s in sections), b""]


def test_full_memory_drops_whole_blocks_and_says_so(small_disk: Path) -> None:
    path = small_disk / "t"
    states: list[WriterState] = []
    writer = Writer(path, memory_limit_bytes=30_000, on_state=states.append)
    writer.append([SESSION], lost_critical=3)
    filler = fill(small_disk)
    for _ in range(7):
        writer.append([{"type": "violation"}], section_of(11, 1000), section_of(2), lost_critical=3)
    assert writer.state is WriterState.DROPPING
    assert writer.pending_bytes <= 30_000
    assert writer.dropped_records == 5 * (11 + 2 + 1)
    filler.unlink()
    assert writer.flush()
    assert not writer.close()  # not everything is there
    assert states == [WriterState.MEMORY, WriterState.DROPPING, WriterState.OK]
    verdict = verify(path)
    assert verdict.state is TraceState.CUT
    assert verdict.blocks == 4
    assert (verdict.lost_critical, verdict.lost_bulk) == (3 + 55, 10)
    (notice,) = blocks_of(path)[-1].context
    assert (notice["type"], notice["code"]) == ("notice", "dropped")
    assert (notice["critical"], notice["bulk"], notice["context"]) == (55, 10, 5)


def test_follower_in_the_engine_reads_on_while_the_disk_is_full(small_disk: Path) -> None:
    path = small_disk / "t"
    writer = Writer(path)
    writer.append([SESSION])
    filler = fill(small_disk)
    section = section_of(5, 20_000)
    with Follower(path, wait=_never, memory=writer.pending_block) as follower:
        blocks = iter(follower)
        assert next(blocks).context == (SESSION,)
        writer.append((), section)
        writer.append([{"type": "notice"}])
        assert next(blocks).critical == section.data
        filler.unlink()
        writer.append([END])
        assert [block.context for block in blocks] == [({"type": "notice"},), (END,)]
        assert follower.finished
    writer.close()


def _never(timeout_seconds: float) -> None:
    raise AssertionError("waited for a block that was there")


def test_any_other_write_error_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(tmp_path / "t")
    monkeypatch.setattr(os, "pwrite", _failing(errno.EBADF))
    with pytest.raises(OSError, match="Bad file descriptor"):
        writer.append([SESSION])
    monkeypatch.undo()
    writer.close()


def test_short_writes_and_a_failing_truncate_leave_a_sound_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes 100 bytes a time, then fails; the torn rest cannot even be removed."""
    writer = Writer(tmp_path / "t")
    writer.append([SESSION])
    real, calls = os.pwrite, iter([True, True, False])

    def stingy(descriptor: int, data: memoryview, offset: int) -> int:
        if not next(calls, False):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(descriptor, data[:100], offset)

    monkeypatch.setattr(os, "pwrite", stingy)
    monkeypatch.setattr(os, "ftruncate", _failing(errno.EIO))
    writer.append((), section_of(3, 999))
    assert verify(tmp_path / "t").state is TraceState.LIVE
    monkeypatch.undo()
    writer.append([END])
    assert writer.close()
    assert verify(tmp_path / "t").state is TraceState.UNSEALED


def _failing(number: int) -> Callable[..., int]:
    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    return fail
