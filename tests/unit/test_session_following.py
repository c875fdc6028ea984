"""What is learned of a container when it is told of, and what only when it runs."""

from __future__ import annotations

import os
from itertools import count
from typing import Any

import pytest

from tracer.session import following
from tracer.session.following import Following
from tracer.targets.container import Container
from tracer.targets.follow import CREATED, REMOVED, STARTED, Change
from tracer.targets.selection import Selection

PASSWD = b"agent:x:1000:1000::/:/bin/sh\n"


class FakeSource:
    """Holds this process as that of the container, in scope 1."""

    def __init__(self) -> None:
        self.held: list[tuple[int, int]] = []

    def members(self) -> dict[int, int]:
        return {os.getpid(): 1}

    def hold_namespaces(self, pid: int, scope: int) -> None:
        self.held.append((pid, scope))

    def mark_container(self, *_: object) -> None: ...
    def await_container(self, *_: object) -> None: ...
    def forget_container(self, *_: object) -> None: ...


class FakeScopes:
    def add(self, *_: object) -> None: ...
    def call(self, *_: object) -> None: ...


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> tuple[Following, FakeSource, list[Any]]:
    monkeypatch.setattr(following, "tellers", list)
    monkeypatch.setattr(following, "place_of", lambda *_: None)
    monkeypatch.setattr(following.processes, "sees_all_pids", lambda: True)
    source: Any = FakeSource()
    named: Any = FakeScopes()
    records: list[Any] = []
    made = Following(
        source,
        Selection(labels=(("team", "red"),)),
        add=records.append,
        watch=lambda _target: pytest.fail("it is held already"),
        scopes=count(1),
        named=named,
        notice=lambda *_: None,
    )
    return made, source, records


def change(what: str, passwd: bytes) -> Change:
    container = Container("c", "docker", "web", labels={"team": "red"})
    running = Container("c", "docker", "web", pid=os.getpid(), labels={"team": "red"})
    return Change(what, container, lambda: passwd, lambda: running)


def users(records: list[Any]) -> list[str]:
    return [each["name"] for each in records if each["type"] == "user"]


def test_users_that_are_known_before_it_runs_are_told_once(
    told: tuple[Following, FakeSource, list[Any]],
) -> None:
    made, _source, records = told
    for what in (CREATED, STARTED, STARTED):
        made._changed(change(what, PASSWD))
    assert users(records) == ["agent"]


def test_users_that_are_known_when_it_runs(told: tuple[Following, FakeSource, list[Any]]) -> None:
    made, _source, records = told
    made._changed(change(CREATED, b""))
    assert users(records) == []
    for _ in range(2):
        made._changed(change(STARTED, PASSWD))
    assert users(records) == ["agent"]


def test_who_enters_it_is_known_by_its_first_process(told: tuple[Following, FakeSource, list[Any]]) -> None:
    made, source, _records = told
    made._changed(change(CREATED, PASSWD))
    assert source.held == []
    made._changed(change(STARTED, PASSWD))
    assert source.held == [(os.getpid(), 1)]
    made._changed(change(REMOVED, PASSWD))
    assert source.held == [(os.getpid(), 1)]
