from __future__ import annotations

from tests.unit.rules.made import connected, connected_unix, event, file, process, ran
from tracer.events import Action, Network, NetworkType
from tracer.rules import sentences


def test_the_actor_is_named_by_the_executable_not_by_itself() -> None:
    who = process("/tmp/evil", pid=5)
    object.__setattr__(who, "name", "sshd")
    assert sentences.actor(file("/x", who=who)) == "evil (pid 5)"
    assert sentences.actor(file("/x", who=process("", pid=5))) == "a process (pid 5)"


def test_long_text_loses_its_middle() -> None:
    line = sentences.act(ran("x", "a" * 500, "end"))
    assert len(line) == len("ran ") + 200
    assert line.startswith("ran x aaa")
    assert line.endswith("aaa end")
    assert sentences.shorten("a" * 200) == "a" * 200


def test_braces_in_names_are_only_braces() -> None:
    assert sentences.act(file("/{0}{}{x!r}")) == "opened /{0}{}{x!r} for writing"
    assert sentences.by_detection(ran("x", "{}"), "did {}", "t").endswith("did {}: x {}")


def test_both_names_of_a_rename_stay_visible() -> None:
    text = sentences.act(file("/" + "b" * 300, Action.FILE_RENAME, original="/" + "a" * 300))
    assert "aaa to /bbb" in text


def test_peers() -> None:
    assert sentences.act(connected_unix("")) == "connected to an unnamed unix socket"
    odd = event(Action.CONNECT, Network(NetworkType.OTHER, "40", "", 0, "", 0, "", ""))
    assert sentences.act(odd) == "connected to a socket of type 40"
    assert sentences.act(connected("::1", 5)) == "connected to [::1]:5"


def test_an_event_without_detail_still_makes_a_sentence() -> None:
    assert sentences.by_policy(event(Action.FORK, None)) == (
        "python3.11 (pid 7) did fork python3 agent.py, which the policy does not allow"
    )
