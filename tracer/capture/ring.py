"""One BPF ring buffer, read by copying out whole stretches of it: no call and no object for each record.

Layout and protocol: kernel/bpf/ringbuf.c and Documentation/bpf/ringbuf.rst. The consumer position is a page
of its own, the only one that can be written; then comes the producer position, and the data. The kernel
offers the data twice behind one another, so that no record is torn at the end; mapped here is one of them, as
all that is mapped counts as this process's memory.
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
        self._producer_map = mmap.mmap(fd, page + size, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)
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
        length, records, last = self._finished(consumer, producer)
        if not length:
            return EMPTY
        section = Section(
            self._copy(consumer & self._mask, length),
            records,
            _TIME.unpack_from(self._data, (consumer + _HEADER_BYTES) & self._mask)[0],
            _TIME.unpack_from(self._data, (last + _HEADER_BYTES) & self._mask)[0],
        )
        self._consumer[0] = consumer + length
        return section

    def _finished(self, consumer: int, producer: int) -> tuple[int, int, int]:
        """Bytes up to the first unfinished record, the number of records in them, and where the last begins.

        The probes never discard a record, so all that is finished counts. A header is 8 bytes at a place that
        8 divides, as is the time stamp behind it: neither is torn.
        """
        unpack, data, mask = _WORD.unpack_from, self._data, self._mask
        position, records, last = consumer, 0, consumer
        while position < producer:
            word = unpack(data, position & mask)[0]
            if word & _BUSY:
                break
            last = position
            records += 1
            position += ((word & ~_DISCARD) + 15) & ~7
        return position - consumer, records, last

    def _copy(self, start: int, length: int) -> bytes:
        end = start + length
        if end <= len(self._data):
            return bytes(self._data[start:end])
        return b"".join((self._data[start:], self._data[: end - len(self._data)]))

    def close(self) -> None:
        for view in (self._consumer, self._producer, self._data, *self._views):
            view.release()
        self._consumer_map.close()
        self._producer_map.close()
