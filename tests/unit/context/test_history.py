"""What went before, put into the events that need it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records import SECOND_NS, SESSION, connect, execve, flow, fork, leave, named, opened, peer
from tracer.context import Context, history
from tracer.events import Action, Busy, Event, File, Flow, Fork, Leg, Network
from tracer.records import Kind, Record

OUTER, INNER, NEAR = "198.51.100.7", "10.0.0.9", "127.0.0.1"


@pytest.fixture
def context() -> Context:
    context = Context(SESSION)
    context.event(execve(100, "/bin/agent"))
    return context


def event(context: Context, record: Record) -> Event:
    made = context.event(record)
    assert made is not None
    return made


def file(context: Context, record: Record) -> File:
    detail = event(context, record).detail
    assert isinstance(detail, File)
    return detail


def is_first(context: Context, ip: str, **changes: int) -> bool:
    detail = event(context, connect(100, peer(ip, 443), **changes)).detail
    assert isinstance(detail, Network)
    return detail.first_contact


def test_first_contact_is_of_a_scope(context: Context) -> None:
    assert [is_first(context, OUTER), is_first(context, OUTER), is_first(context, INNER)] == [
        True,
        False,
        True,
    ]
    assert is_first(context, OUTER, scope=2)
    assert not is_first(context, "192.0.2.1", flags=1 << 10)  # was there before the watch
    assert not is_first(context, "192.0.2.1")


def test_a_replay_finds_the_same() -> None:
    records = [execve(100, "/bin/agent"), *(connect(100, peer(ip, 443)) for ip in (OUTER, INNER, OUTER))]
    assert [repr(event(one, each)) for one in [Context(SESSION)] for each in records] == [
        repr(event(other, each)) for other in [Context(SESSION)] for each in records
    ]


def test_files_made_here(context: Context) -> None:
    assert not file(context, named(Kind.UNLINK, 100, "/w", "old")).made_here
    assert file(context, opened(100, "/w/a")).made_here
    assert file(context, opened(100, "/w/a", created=0)).made_here
    assert file(context, named(Kind.RENAME, 100, "/w", "a", "/w", "b")).made_here
    assert not file(context, named(Kind.UNLINK, 100, "/w", "a")).made_here
    assert file(context, named(Kind.UNLINK, 100, "/w", "b")).made_here
    assert not file(context, opened(100, "/w/b", created=0)).made_here


def test_files_made_after_a_contact(context: Context) -> None:
    context.event(connect(100, peer(NEAR, 443)))
    assert file(context, opened(100, "/w/a")).contact == ""
    context.event(connect(100, peer(OUTER, 443)))
    assert file(context, opened(100, "/w/b")).contact == OUTER
    assert file(context, opened(101, "/w/c")).contact == ""


def test_copies_beside_what_is_removed(context: Context) -> None:
    context.event(opened(100, "/w/a.txt.locked"))
    assert file(context, named(Kind.UNLINK, 100, "/w", "a.txt")).copy == "/w/a.txt.locked"
    assert file(context, named(Kind.UNLINK, 100, "/w", "a.txt")).copy == ""
    context.event(opened(100, "/w.d/a"))
    assert file(context, named(Kind.UNLINK, 100, "/", "w")).copy == ""


def relayed(context: Context, ip: str, bytes_in: int, bytes_out: int, pid: int = 100) -> tuple[Leg, ...]:
    detail = event(context, flow(pid, peer(ip, 80), bytes_in=bytes_in, bytes_out=bytes_out)).detail
    assert isinstance(detail, Network)
    assert isinstance(detail.more, Flow)
    return detail.more.relayed


def test_relays_one_for_one(context: Context) -> None:
    assert relayed(context, OUTER, 31, 7_000) == ()
    assert relayed(context, INNER, 7_001, 31) == ()
    assert relayed(context, NEAR, 7_000, 31, pid=101) == ()
    assert relayed(context, INNER, 7_000, 31) == (Leg(OUTER, 80, "egress"),)
    assert relayed(context, INNER, 0, 0) == ()


def test_relays_of_several_in_one(context: Context) -> None:
    for number in (1, 2):
        assert relayed(context, f"10.0.0.{number}", 9_000, 4_000) == ()
    assert relayed(context, OUTER, 60_000, 19_000) == ()  # more came in than went on
    assert relayed(context, OUTER, 7_999, 19_000) == ()  # less
    other = Context(SESSION)
    for number in (1, 2):
        relayed(other, f"10.0.0.{number}", 9_000, 4_000)
    assert relayed(other, OUTER, 8_500, 19_000) == tuple(Leg(f"10.0.0.{n}", 80, "egress") for n in (1, 2))


def busy(context: Context, pid: int, time_ns: int = SECOND_NS) -> list[Busy]:
    row = {"pid": pid, "start_ns": pid * SECOND_NS, "scope": 1, "percent": 199, "threads": 2}
    assert context.learn([{"type": "cpu", "time_ns": time_ns, "span_ns": SECOND_NS, "busy": [row]}]) == 0
    details = [told.detail for told in context.take_told()]
    assert all(isinstance(detail, Busy) for detail in details)
    return details  # type: ignore[return-value]


def test_who_is_busy_and_connected_with_somebody_new(context: Context) -> None:
    context.event(execve(100, "/bin/miner"))
    context.event(execve(101, "/bin/make"))
    assert [(each.percent, each.threads, each.contact) for each in busy(context, 100)] == [(199, 2, "")]
    context.event(connect(100, peer(OUTER, 443)))
    assert [each.contact for each in busy(context, 100)] == [OUTER]
    context.event(connect(101, peer(OUTER, 443)))
    assert [each.contact for each in busy(context, 101)] == [""], "not the first to speak to it"
    context.event(connect(100, peer(OUTER, 443)))
    context.event(flow(100, peer(OUTER, 443), bytes_in=1, bytes_out=1))
    assert [each.contact for each in busy(context, 100)] == [OUTER], "one of two is open"
    context.event(flow(100, peer(OUTER, 443), bytes_in=1, bytes_out=1))
    assert [each.contact for each in busy(context, 100)] == [""]
    context.event(connect(100, peer(INNER, 443)))
    assert [each.contact for each in busy(context, 100)] == [""], "not outside"
    assert busy(context, 999) == [], "nobody knows it"


@pytest.mark.parametrize("wrong", [{"busy": 1}, {"busy": [1]}, {"busy": [{"pid": 1}]}, {"time_ns": "soon"}])
def test_a_forged_record_of_busy_processes(context: Context, wrong: dict[str, Any]) -> None:
    assert context.learn([{"type": "cpu", "time_ns": 1, "busy": []} | wrong]) == 1
    assert not context.take_told()


def forked(context: Context, pid: int, parent: int) -> Fork:
    detail = event(context, fork(pid, parent)).detail
    assert isinstance(detail, Fork)
    return detail


def test_forks(context: Context) -> None:
    assert forked(context, 101, 100).generation == 1
    assert forked(context, 102, 101).generation == 2
    context.event(execve(102, "/bin/sh"))
    made = forked(context, 103, 102)
    assert (made.generation, made.alive) == (1, 4)
    context.event(leave(101))
    context.event(leave(101))
    assert forked(context, 104, 103).alive == 4


def test_what_is_remembered_is_bounded(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "ALIVE_KEPT", 3)
    for pid in range(200, 300):
        made = forked(context, pid, 100)
        assert made.alive <= 3
    assert event(context, leave(100)).action is Action.EXIT
