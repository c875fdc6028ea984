"""The control socket: who may ask, what is answered, and what no peer can do to it."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from tracer.control import Command, Peer, Reply, Server, ask, control_path
from tracer.errors import RubiconError


class Step(BaseModel):
    name: str


class Table:
    """A session of the test's own; `objection` is what it has against everybody."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace
        self.objection = ""
        self.refused: list[tuple[str, Peer, str]] = []
        commands = {
            "who": Command(lambda _, peer: Reply(ok=True, message=str(peer), data={"pid": peer.pid})),
            "mark": Command(lambda step, _: Reply(ok=True, message=step.name), Step),
            "break": Command(lambda _, __: 1 / 0),
        }
        self.server = Server(
            control_path(trace),
            commands,
            lambda _: self.objection,
            lambda *refused: self.refused.append(refused),
        )
        self.server.start()


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    table = Table(tmp_path / "s.trace")
    yield table
    table.server.close()
    assert not table.server.path.exists()


def test_asked_and_answered(table: Table) -> None:
    reply = ask(table.trace, "who")
    assert reply.ok
    assert reply.message == f"user {os.geteuid()} (pid {os.getpid()})"
    assert reply.data == {"pid": os.getpid()}


def test_the_socket_is_its_owners_alone(table: Table) -> None:
    mode = table.server.path.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_arguments_are_checked(table: Table) -> None:
    assert ask(table.trace, "mark", name="step 1").message == "step 1"
    assert ask(table.trace, "mark") == Reply(ok=False, message="name: Field required")
    assert not ask(table.trace, "who", name="x").ok


def test_what_is_not_known_or_fails(table: Table) -> None:
    assert ask(table.trace, "dance").message == "no such command; there are break, mark, who"
    assert "ZeroDivisionError" in ask(table.trace, "break").message
    assert ask(table.trace, "who").ok


def test_who_has_no_say_is_refused_and_told(table: Table) -> None:
    table.objection = "it is watched"
    assert ask(table.trace, "who") == Reply(ok=False, message="refused: it is watched")
    ((_command, peer, why),) = table.refused
    assert (peer, why) == (Peer(os.getpid(), os.geteuid()), "it is watched")


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"{}\n", b"[1]\n", b'{"command":5}\n', b"\xff\n", b"x" * 70_000]
)
def test_noise_does_no_harm(table: Table, data: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(os.fspath(table.server.path))
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        assert not Reply.model_validate_json(peer.makefile("rb").readline()).ok
    assert ask(table.trace, "who").ok


def test_who_has_no_say_and_is_silent_holds_up_nobody(table: Table) -> None:
    table.objection = "no"
    silent = [socket.socket(socket.AF_UNIX) for _ in range(5)]
    try:
        for each in silent:
            each.connect(os.fspath(table.server.path))
        assert not ask(table.trace, "who").ok
    finally:
        for each in silent:
            each.close()


def test_a_path_longer_than_a_socket_takes(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    table = Table(folder / "s.trace")
    try:
        assert ask(table.trace, "who").ok
    finally:
        table.server.close()
    assert list(folder.iterdir()) == []


def test_the_socket_of_an_engine_that_was_killed_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(os.fspath(control_path(tmp_path / "s.trace")))
        table = Table(tmp_path / "s.trace")
    try:
        assert ask(table.trace, "who").ok
    finally:
        table.server.close()


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(RubiconError, match=r"cannot reach the session at .*s\.trace\.control: No such file"):
        ask(tmp_path / "s.trace", "who")
