"""The parts of a session by themselves: the outbox, and who asks where domains are."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from tracer.session import resolver
from tracer.session.outbox import PORTION_BYTES, Outbox, encoded_bytes, portions
from tracer.session.resolver import Resolver, system_addresses
from tracer.trace import MAX_CONTEXT_BYTES


def test_the_outbox_hands_out_once_and_in_order() -> None:
    outbox = Outbox()
    for number in range(3):
        outbox.add({"type": "notice", "number": number})
    outbox.judged(4)
    outbox.judged(7)
    assert outbox.take() == [
        *({"type": "notice", "number": number} for number in range(3)),
        {"type": "judged", "block": 7},
    ]
    assert outbox.take() == []


def test_the_outbox_hands_out_no_more_than_a_block_has_room_for() -> None:
    outbox = Outbox()
    for number in range(23):
        outbox.add({"type": "process", "number": number, "args": ["\udcff" * 131_072]})
    numbers = []
    while taken := outbox.take():
        assert sum(map(encoded_bytes, taken)) <= PORTION_BYTES < MAX_CONTEXT_BYTES
        numbers += [record["number"] for record in taken]
    assert numbers == list(range(23))


def test_violations_in_portions() -> None:
    records = [
        {"type": "violation", "event": number, "matched": [["f", "\n" * 100_000]]} for number in range(97)
    ]
    found = list(portions(records))
    assert [record for portion in found for record in portion] == records
    assert all(sum(map(encoded_bytes, portion)) <= PORTION_BYTES for portion in found)
    assert not list(portions([]))


def test_a_violation_too_large_for_any_block_is_still_one() -> None:
    record = {"type": "violation", "event": 1, "matched": [["f", "\udcff" * 131_072]] * 20}
    ((small,),) = portions([record])
    assert small == {"type": "violation", "event": 1, "matched": []}


class Names:
    """A resolver to ask, and what it made known."""

    def __init__(self, answers: dict[str, list[str] | Exception]) -> None:
        self.answers = answers
        self.known: list[Mapping[str, Any]] = []

    def resolve(self, domain: str) -> Iterable[str]:
        answer = self.answers[domain]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def make(self) -> Resolver:
        return Resolver(self.answers, self.known.append, self.resolve)


def test_only_new_addresses_are_made_known() -> None:
    names = Names({"b.example": ["192.0.2.2"], "a.example": ["192.0.2.1", "::1"], "none.example": []})
    asked = names.make()
    asked.refresh()
    asked.refresh()
    names.answers["b.example"] = ["192.0.2.3", "192.0.2.2"]
    asked.refresh()
    names.answers["b.example"] = ["192.0.2.2"]
    asked.refresh()
    assert [(each["domain"], each["addresses"]) for each in names.known] == [
        ("a.example", ["192.0.2.1", "::1"]),
        ("b.example", ["192.0.2.2"]),
        ("b.example", ["192.0.2.2", "192.0.2.3"]),
    ]


def test_a_look_up_that_fails_does_not_end_the_others() -> None:
    names = Names({"a.example": ValueError("odd"), "b.example": ["192.0.2.2"]})
    names.make().refresh()
    assert [each["domain"] for each in names.known] == ["b.example"]


def test_start_waits_for_the_first_answers() -> None:
    names = Names({"a.example": ["192.0.2.1"]})
    asked = names.make()
    assert asked.start()
    assert names.known
    asked.stop()


def test_start_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "FIRST_SECONDS", 0.01)
    answer = threading.Event()

    def slow(_domain: str) -> list[str]:
        answer.wait(10)
        return []

    asked = Resolver(["a.example"], lambda _: None, slow)
    assert not asked.start()
    asked.stop()
    answer.set()


def test_the_systems_own_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (2, 1, 6, "", ("192.0.2.9", 0)),
        (10, 1, 6, "", ("2001:db8::1", 0, 0, 0)),
        (2, 2, 17, "", ("192.0.2.9", 0)),
    ]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)
    assert system_addresses("a.example") == ["192.0.2.9", "2001:db8::1"]


@pytest.mark.parametrize("error", [socket.gaierror(-2, "unknown"), UnicodeError("label too long"), OSError()])
def test_no_answer(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("socket.getaddrinfo", fail)
    assert system_addresses("a.example") == []
