"""Documents that are sent as they come: patience while a session lives, and an end that is counted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from tests.collector import collector
from tests.export_samples import SESSION, items
from tracer.export import Documents, otlp
from tracer.export.shipping import BATCH_MAX, QUEUE_MAX, RefusedError, Shipment, Shipped, UnavailableError

Batch = Sequence[dict[str, Any]]


class Receiver:
    """Raises what it is told to, then takes everything."""

    def __init__(self, *answers: BaseException) -> None:
        self.answers = list(answers)
        self.batches: list[int] = []
        self.got: list[Any] = []

    def __call__(self, batch: Batch) -> None:
        if self.answers:
            raise self.answers.pop(0)
        self.batches.append(len(batch))
        self.got += [document["n"] for document in batch]


def numbered(count: int) -> Iterator[dict[str, Any]]:
    return ({"n": number} for number in range(count))


def test_all_arrive_once_and_in_order() -> None:
    receiver, said = Receiver(), list[str]()
    assert Shipment(receiver, said.append).ship(numbered(5_000)) == Shipped(delivered=5_000)
    assert receiver.got == list(range(5_000))
    assert max(receiver.batches) <= BATCH_MAX
    assert said == []


def test_who_is_away_is_asked_again_and_that_is_said_once() -> None:
    away = [UnavailableError("nobody there") for _ in range(3)]
    receiver, said = Receiver(*away), list[str]()
    assert Shipment(receiver, said.append).ship(numbered(7)) == Shipped(delivered=7)
    assert receiver.got == list(range(7))
    assert said == ["nobody there; what is recorded meanwhile is sent later", "sent again"]


def test_what_is_refused_is_counted_and_not_sent_again() -> None:
    receiver, said = Receiver(RefusedError("no room for 3", 3)), list[str]()
    shipped = Shipment(receiver, said.append).ship(numbered(7))
    assert (shipped.refused, shipped.delivered + shipped.refused, said) == (3, 7, ["no room for 3"])


def test_at_the_end_it_gives_up_and_counts() -> None:
    def gone(_batch: Batch) -> None:
        raise UnavailableError("gone")

    shipped = Shipment(gone, lambda _words: None, linger_seconds=0.3).ship(numbered(1_500))
    assert shipped == Shipped(undelivered=1_500)


def test_a_slow_receiver_holds_the_reader_up_and_nothing_is_dropped() -> None:
    """No more is read than the queue and a batch hold."""
    go_on, taken = threading.Event(), 0
    receiver = Receiver()

    def slow(batch: Batch) -> None:
        go_on.wait()
        receiver(batch)

    def counted() -> Iterator[dict[str, Any]]:
        nonlocal taken
        for document in numbered(3 * QUEUE_MAX):
            taken += 1
            if taken > QUEUE_MAX + BATCH_MAX + 2:
                assert go_on.is_set()
            if taken == QUEUE_MAX + BATCH_MAX:
                threading.Timer(0.2, go_on.set).start()
            yield document

    assert Shipment(slow, lambda _words: None).ship(counted()).delivered == 3 * QUEUE_MAX
    assert receiver.got == list(range(3 * QUEUE_MAX))


def test_a_mistake_of_ours_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        Shipment(Receiver(ZeroDivisionError()), lambda _words: None).ship(numbered(QUEUE_MAX * 3))


def sent(url: str, say: Callable[[str], object], linger_seconds: float = 10.0) -> Shipped:
    return otlp.ship(Documents(items(), SESSION), url, say, linger_seconds)


def test_a_collector_that_is_busy_and_one_that_refuses() -> None:
    count = len(list(Documents(items(), SESSION)))
    said: list[str] = []
    with collector((503, b""), (429, b"")) as receiver:
        assert sent(receiver.url, said.append) == Shipped(delivered=count)
    assert len(receiver.records) == count
    assert said[0].endswith("answered 503; what is recorded meanwhile is sent later")
    with collector((400, b"bad\x1b[2J")) as receiver:
        assert sent(receiver.url, said.append) == Shipped(refused=count)
    assert said[-1].endswith("answered 400: bad\\x1b[2J")


def test_a_collector_that_is_not_there() -> None:
    with collector() as receiver:
        url = receiver.url
    said: list[str] = []
    shipped = sent(url, said.append, 0.3)
    assert (shipped.delivered, shipped.undelivered > 0) == (0, True)
    assert said[0].startswith(f"cannot reach the collector at {url}: ")
