"""The ring reader on a file that stands in for the map: positions, framing, and records not yet finished.

The kernel maps the data twice behind one another; here each half is written by hand.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator

import pytest

from tracer.capture.ring import Ring
from tracer.records import EMPTY
from tracer.trace import ring_records

SIZE = 4096
PAGE = mmap.PAGESIZE
BUSY = 1 << 31


class Producer:
    """Writes as the kernel does."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("ring")
        os.ftruncate(self.fd, 2 * PAGE + 2 * SIZE)

    @property
    def position(self) -> int:
        return int(struct.unpack("<Q", os.pread(self.fd, 8, PAGE))[0])

    def put(self, record: bytes, word_bits: int = 0) -> int:
        """Append; returns where the record begins."""
        start = self.position
        framed = struct.pack("<II", len(record) | word_bits, 0) + record + bytes(-len(record) % 8)
        for index, byte in enumerate(framed):
            place = (start + index) & (SIZE - 1)
            for half in (0, SIZE):
                os.pwrite(self.fd, bytes([byte]), 2 * PAGE + half + place)
        os.pwrite(self.fd, struct.pack("<Q", start + len(framed)), PAGE)
        return start

    def finish(self, start: int, length: int) -> None:
        for half in (0, SIZE):
            os.pwrite(self.fd, struct.pack("<I", length), 2 * PAGE + half + (start & (SIZE - 1)))

    def consumed(self) -> int:
        return int(struct.unpack("<Q", os.pread(self.fd, 8, 0))[0])


@pytest.fixture
def producer() -> Iterator[Producer]:
    made = Producer()
    yield made
    os.close(made.fd)


@pytest.fixture
def ring(producer: Producer) -> Iterator[Ring]:
    made = Ring(producer.fd, SIZE)
    yield made
    made.close()


def record(time_ns: int, size: int = 24) -> bytes:
    return struct.pack("<Q", time_ns) + b"x" * (size - 8)


def test_empty(ring: Ring) -> None:
    assert ring.take() is EMPTY
    assert ring.waiting_bytes == 0


def test_all_records_with_their_times(producer: Producer, ring: Ring) -> None:
    records = [record(10, 24), record(11, 31), record(12, 40)]
    for each in records:
        producer.put(each)
    section = ring.take()
    assert [bytes(view) for view in ring_records(section.data)] == records
    assert (section.records, section.first_ns, section.last_ns) == (3, 10, 12)
    assert producer.consumed() == producer.position
    assert ring.take() is EMPTY


def test_a_record_still_being_written_is_left_with_all_behind_it(producer: Producer, ring: Ring) -> None:
    producer.put(record(1))
    busy = producer.put(record(2), BUSY)
    producer.put(record(3))
    assert ring.take().records == 1
    assert ring.take() is EMPTY
    assert ring.waiting_bytes > 0
    producer.finish(busy, 24)
    section = ring.take()
    assert (section.records, section.first_ns, section.last_ns) == (2, 2, 3)


def test_records_across_the_end_of_the_ring(producer: Producer, ring: Ring) -> None:
    count = 0
    for round_ in range(50):
        for number in range(7):
            producer.put(record(round_ * 7 + number, 25 + number * 9))
        section = ring.take()
        assert section.records == 7
        times = [struct.unpack_from("<Q", view)[0] for view in ring_records(section.data)]
        assert times == list(range(round_ * 7, round_ * 7 + 7))
        count += section.records
    assert count == 350
    assert producer.position > 3 * SIZE
