"""A line written for a violation allows that and nothing else, whatever the agent called its things."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.rules.made import event as made_event
from tests.unit.rules.made import process
from tracer.events import (
    Action,
    Event,
    Exec,
    File,
    Network,
    NetworkType,
    Rule,
    RuleKind,
    StdioKind,
    Violation,
)
from tracer.rules import Given, read_policy
from tracer.rules.amend import amend
from tracer.rules.entries import PolicyEntry, entries_for
from tracer.rules.learn import Learning
from tracer.rules.policing import PolicyCheck, policy_checks

GIVEN = Given({"home": ("/home/ada",), "workspace": ("/work",)}, {})
FLOW = """
files:
  write: []
network:
  connect: ["unix:/nowhere"]
process:
  exec: [/nowhere]
"""
BLOCK = """
files:
  write:
  - /nowhere
network:
  connect:
  - unix:/nowhere
process:
  exec:
  - /nowhere
"""

hostile = st.sampled_from(
    [*"*?[]!\\${}:@~#&|'\"-, .ab\n\t", "${home}", "$${", "**", "[a-z]", "é", "😀", "\x1b"]
)
names = st.lists(hostile, min_size=1, max_size=6).map("".join).filter(lambda name: name not in (".", ".."))
paths = st.lists(names, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
domains = st.one_of(
    st.lists(names, min_size=1, max_size=3).map(".".join),
    st.sampled_from(
        ["*", "*.com", "*.evil.example", "localhost", "10.0.0.0", "!x", "unix:x", "${resolvers}"]
    ),
    st.from_regex(r"[a-z]{1,5}(\.[a-z]{1,5}){1,2}", fullmatch=True),
)
addresses = st.ip_addresses().map(str)


def written(path: str) -> Event:
    return made_event(Action.FILE_WRITE, File(path))


def connected(domain: str, ip: str, port: int) -> Event:
    kind = NetworkType.IPV6 if ":" in ip else NetworkType.IPV4
    return made_event(Action.CONNECT, Network(kind, "tcp", ip, port, "", 0, domain, ""))


def unix(path: str) -> Event:
    return made_event(Action.CONNECT, Network(NetworkType.UNIX, "unix", "", 0, "", 0, "", path))


def executed(path: str) -> Event:
    return made_event(Action.EXEC, exec_of(path), process(path))


def exec_of(path: str) -> Exec:
    file = StdioKind.FILE
    return Exec(path, path, (path,), 0, 0, False, file, file, file, "")


Checks = Mapping[Action, PolicyCheck]


def policy_with(entry: PolicyEntry | None, text: str = BLOCK) -> Checks:
    """A policy with that line, put in as a person would have it done."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "policy.yaml")
        path.write_text(text)
        if entry is not None:
            amend(path, entry.place, entry.entry, GIVEN).write()
        return policy_checks(read_policy(path, GIVEN).policy)


def allows(checks: Checks, event: Event) -> bool:
    return checks[event.action](event) is None


def violation_of(event: Event) -> Violation:
    violation = BEFORE[event.action](event)
    assert violation is not None
    return violation


def narrowest(event: Event) -> PolicyEntry | None:
    return next(iter(entries_for(violation_of(event))), None)


BEFORE = policy_with(None)


def near(text: str) -> Sequence[str]:
    """Names that one mistake in quoting would let in."""
    changed = [text.replace(special, "zz") for special in "*?[]!\\$"]
    return [
        *changed,
        f"{text}z",
        f"{text}/z",
        text.replace("${home}", "/home/ada").replace("//", "/"),
        "/z",
        "/a/z",
    ]


@settings(max_examples=50, deadline=None)
@given(path=paths)
@example(path="/work/**")
@example(path="/${home}/x")
@example(path="/a/$${home}")
@example(path="/tmp/[a-z]*?\\")
def test_a_file(path: str) -> None:
    entry = narrowest(written(path))
    assert entry is not None
    for text in (FLOW, BLOCK):
        policy = policy_with(entry, text)
        assert allows(policy, written(path))
        for other in near(path):
            assert other == path or not allows(policy, written(other)), (entry, other)


@settings(max_examples=50, deadline=None)
@given(path=paths)
@example(path="/tmp/*")
@example(path="/tmp/!git")
@example(path="/tmp/python3*")
def test_a_program_by_its_path_and_by_its_name(path: str) -> None:
    by_path, by_name = map(policy_with, entries_for(violation_of(executed(path))))
    assert allows(by_path, executed(path))
    assert allows(by_name, executed(path))
    name = path.rpartition("/")[2]
    for other in near(path):
        assert other == path or not allows(by_path, executed(other)), other
        assert allows(by_name, executed(other)) is (other.rpartition("/")[2] == name), other


def test_a_program_that_was_refused_is_allowed_and_not_who_tried() -> None:
    event = made_event(Action.EXEC, exec_of("/opt/tool"), process("/usr/bin/bash"), error=13)
    entry = narrowest(event)
    assert entry == PolicyEntry("process.exec", "/opt/tool")


@settings(max_examples=50, deadline=None)
@given(domain=domains, ip=addresses, port=st.integers(1, 65535))
@example(domain="*", ip="192.0.2.1", port=443)
@example(domain="localhost", ip="192.0.2.1", port=443)
@example(domain="10.0.0.0", ip="192.0.2.1", port=443)
@example(domain="good.example", ip="fe80::1%eth0", port=443)
@example(domain="", ip="::ffff:192.0.2.1", port=443)
def test_a_connection(domain: str, ip: str, port: int) -> None:
    event = connected(domain, ip, port)
    entry = narrowest(event)
    assert entry is not None
    policy = policy_with(entry)
    assert allows(policy, event)
    for other in ("203.0.113.77", "127.0.0.1", "2001:db8::77"):
        if other != ip:
            for name in ("", "other.example", f"below.{domain}"):
                assert not allows(policy, connected(name, other, port)), entry
    assert not allows(policy, connected(domain, ip, port % 65535 + 1))


@settings(max_examples=50, deadline=None)
@given(path=st.one_of(paths, names.map("@{}".format)))
@example(path="/run/*")
@example(path="@x*")
def test_a_unix_socket(path: str) -> None:
    entry = narrowest(unix(path))
    if entry is None:
        assert path.startswith("@")
        assert "*" in path
        return
    policy = policy_with(entry)
    assert allows(policy, unix(path))
    for other in near(path):
        assert other == path or not allows(policy, unix(other)), (entry, other)


@pytest.mark.parametrize(
    ("path", "entries"),
    [
        ("/etc/x y", ["/etc/x y", "/etc/**"]),
        ("/top", ["/top"]),  # all there is would be below its folder
        ("/a/*/f", ["/a/[*]/f", "/a/[*]/**"]),
        ("/a/\udcff", []),  # no text, which no policy can hold
        ("/a/../b", ["/b"]),
    ],
)
def test_what_is_offered_for_a_file(path: str, entries: list[str]) -> None:
    assert [each.entry for each in entries_for(violation_of(written(path)))] == entries


def test_of_a_rename_it_is_the_name_that_was_not_allowed() -> None:
    event = made_event(Action.FILE_RENAME, File("/nowhere", original_path="/elsewhere"))
    assert narrowest(event) == PolicyEntry("files.write", "/elsewhere")


def test_a_detection_has_no_line() -> None:
    violation = violation_of(written("/x"))
    detection = Rule("x", "x", violation.rule.level, RuleKind.DETECTION)
    assert entries_for(replace(violation, rule=detection)) == ()


@settings(max_examples=50, deadline=None)
@given(domain=domains, ip=addresses, port=st.integers(1, 65535), path=paths)
@example(domain="*", ip="192.0.2.1", port=443, path="/a/**")
@example(domain="10.0.0.0", ip="192.0.2.1", port=443, path="/${home}")
def test_what_is_learned_allows_what_was_done_and_not_all(domain: str, ip: str, port: int, path: str) -> None:
    events = [connected(domain, ip, port), written(path)]
    learning = Learning()
    learning.begin("good.trace", GIVEN.machine)
    for event in events:
        learning.take(event)
    policy = policy_with(None, learning.policy("learned"))
    for event in events:
        assert allows(policy, event)
    if ip != "203.0.113.77":
        assert not allows(policy, connected("other.example", "203.0.113.77", port))
    assert not allows(policy, written("/elsewhere/zz/zz"))
