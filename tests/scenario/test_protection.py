"""An agent that turns on Rubicon: each attack is a critical violation, live and replayed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .driver import PROGRAMS, PYTHON, Document, Rubicon

EVIL = [PYTHON, "-I", "-S", PROGRAMS / "evil.py"]
PROCESS, TRACE, KEYS, CONTROL, PROBES = (
    f"Attack on Rubicon: its {each}" for each in ("process", "trace", "keys", "control", "probes")
)
ATTACKS = {
    "term": (PROCESS, "kill"),
    "pidfd": (PROCESS, "kill"),
    "user": (PROCESS, "kill"),
    "seize": (PROCESS, "ptrace"),
    "write memory": (PROCESS, "process_vm_write"),
    "open memory": (PROCESS, "process_mem_open"),
    "take descriptor": (PROCESS, "pidfd_getfd"),
    "oom": (PROCESS, "file_write"),
    "append": (TRACE, "file_write"),
    "by descriptor": (TRACE, "file_write"),
    "link": (TRACE, "file_link"),
    "by link": (TRACE, "file_write"),
    "chmod": (TRACE, "file_chmod"),
    "chown": (TRACE, "file_chown"),
    "truncate": (TRACE, "file_truncate"),
    "rename over": (TRACE, "file_rename"),
    "key": (KEYS, "file_write"),
    "unlink": (TRACE, "file_unlink"),
    "steer": (CONTROL, "connect"),
    "unlink control": (TRACE, "file_unlink"),
    "move": (TRACE, "file_rename"),
    "move back": (TRACE, "file_rename"),
    "hide": (TRACE, "mount"),
    "map": (PROBES, "bpf"),
    "program": (PROBES, "bpf"),
    "link of a program": (PROBES, "bpf"),
}
MORE = {"mount over": (TRACE, "mount")}
NEAR_MISSES = ("ask", "own child", "own group", "own files", "read", "neighbour")
# What /proc, or a name in a folder that is not its own, keeps from others altogether is no act any more.
AS_NOBODY = (
    *("term", "pidfd", "seize", "write memory", "take descriptor", "oom", "append", "chmod", "chown"),
    *("truncate", "unlink", "mount over"),
)


@pytest.fixture
def sessions(rubicon: Rubicon) -> Path:
    """The folder of the sessions, with one of another day in it."""
    rubicon.traces.mkdir()
    (rubicon.traces / "1.trace").write_text("evidence")
    (rubicon.work / "mine").touch()
    return rubicon.traces


def attack(rubicon: Rubicon, *words: str) -> list[Document]:
    """What the rule that is always on made of it; the replay makes the same."""
    done = rubicon.do("run", "--", *EVIL, rubicon.traces, *words, start_new_session=True)
    assert done.returncode == 0, done.stderr
    (trace,) = rubicon.traces.glob("2*.trace")
    recorded = of_the_rule(rubicon.export(trace, "--only", "violations"))
    again = rubicon.do("replay", trace, "--jsonl")
    replayed = of_the_rule([json.loads(line) for line in again.stdout.splitlines()])
    assert [each["message"] for each in replayed] == [each["message"] for each in recorded]
    assert all(each["message"] in done.stderr for each in recorded[:1])
    return recorded


def of_the_rule(documents: list[Document]) -> list[Document]:
    return [each for each in documents if each.get("rule", {}).get("id") == "self-protection"]


def test_every_attack_is_a_critical_violation(sessions: Path, rubicon: Rubicon) -> None:
    found = attack(rubicon, *ATTACKS)
    assert [(each["rule"]["name"], each["event"]["action"]) for each in found] == list(ATTACKS.values())
    assert {each["rule"]["level"] for each in found} == {"critical"}
    assert all("T1562.001" in each["threat"]["technique"]["id"] for each in found)
    assert all("this is aimed at" in each["message"] for each in found)


def test_near_misses_are_none(sessions: Path, rubicon: Rubicon) -> None:
    assert attack(rubicon, *NEAR_MISSES) == []


def test_what_is_refused_is_one_all_the_same(sessions: Path, rubicon: Rubicon) -> None:
    """As it is to an agent of another user, and to one of our user without rights over us."""
    found = attack(rubicon, "--as", "65534", *AS_NOBODY)
    assert [(each["rule"]["name"], each["event"]["action"]) for each in found] == [
        MORE.get(each) or ATTACKS[each] for each in AS_NOBODY
    ]
    assert {each["event"]["outcome"] for each in found} == {"failure"}
    assert [each["message"] for each in found if "it was refused with" not in each["message"]] == []
