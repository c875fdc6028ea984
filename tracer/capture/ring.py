"""One BPF ring buffer, read by copying out whole stretches of it: no call and no object for each record.

Layout and protocol: kernel/bpf/ringbuf.c and Documentation/bpf/ringbuf.rst. The consumer position is a page
of its own, the only one that can be written; then comes the producer position, and the data, mapped twice
behind one another so that no record is torn at the end.
"""

from __future__ import annotations

import mmap
import struct

from tracer.records import EMPTY, Section

_WORD = struct.Struct("<I")
_TIME = struct.Struct("<Q")
_BUSY = 1 << 31
_DISCARD = 1 << 30
_HEADER_BYTES = 8


class Ring:
    """`fd` is that of the map, `size` its bytes of data. The time stamp is the first field of a record."""

    def __init__(self, fd: int, size: int) -> None:
        self.fd = fd
        self._mask = size - 1
        page = mmap.PAGESIZE
        self._consumer_map = mmap.mmap(fd, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self._producer_map = mmap.mmap(fd, page + 2 * size, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)
        self._views = (memoryview(self._consumer_map), memoryview(self._producer_map))
        self._consumer = self._views[0].cast("Q")
        self._producer = self._views[1][:8].cast("Q")
        self._data = self._views[1][page:]

    @property
    def waiting_bytes(self) -> int:
        return self._producer[0] - self._consumer[0]

    def take(self) -> Section:
        """All records that are finished, and their room given back. A record still being written ends it."""
        consumer, producer = self._consumer[0], self._producer[0]
        if consumer == producer:
            return EMPTY
        start = consumer & self._mask
        view = self._data[start : start + producer - consumer]
        length, records, last = _finished(view)
        if not length:
            return EMPTY
        section = Section(
            bytes(view[:length]),
            records,
            _TIME.unpack_from(view, _HEADER_BYTES)[0],
            _TIME.unpack_from(view, last + _HEADER_BYTES)[0],
        )
        self._consumer[0] = consumer + length
        return section

    def close(self) -> None:
        for view in (self._consumer, self._producer, self._data, *self._views):
            view.release()
        self._consumer_map.close()
        self._producer_map.close()


def _finished(view: memoryview) -> tuple[int, int, int]:
    """Bytes up to the first unfinished record, the number of records in them, and where the last begins.

    The probes never discard a record, so all that is finished counts.
    """
    unpack = _WORD.unpack_from
    position, records, last, end = 0, 0, 0, len(view)
    while position < end:
        word = unpack(view, position)[0]
        if word & _BUSY:
            break
        last = position
        records += 1
        position += ((word & ~_DISCARD) + 15) & ~7
    return position, records, last
