from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.rules.made import rules_of
from tracer.errors import RuleFileError
from tracer.events import Level, Response, RuleKind
from tracer.rules import load_rules

WHOLE = """\
name: build agents
description: what a build may do
on_violation: alert
files:
  level: low
  write: [/work/**, "!/work/.git/hooks/**"]
network:
  level: CRITICAL
  connect: [localhost, "pypi.org:443", "*.pythonhosted.org:443", "files.pypi.org:443"]
process:
  exec: [git, /usr/bin/**]
"""


def problems(folder: Path, policy: str) -> list[str]:
    with pytest.raises(RuleFileError) as caught:
        rules_of(folder, policy)
    assert str(caught.value).count("\n") == len(caught.value.problems) - 1
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_a_whole_policy(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, WHOLE.replace("CRITICAL", "critical"))
    assert [(rule.id, rule.level, rule.kind) for rule in rules.rules] == [
        ("files.write", Level.LOW, RuleKind.POLICY),
        ("files.mounts", Level.LOW, RuleKind.POLICY),
        ("network.connect", Level.CRITICAL, RuleKind.POLICY),
        ("process.exec", Level.HIGH, RuleKind.POLICY),
    ]
    assert {rule.description for rule in rules.rules} == {"build agents: what a build may do"}
    assert rules.domains == {"pypi.org", "files.pypi.org"}  # not those below a star, not localhost


def test_every_mistake_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    policy = """\
name: 5
on_violation: end
files:
  level: hgh
  wirte: [/a]
  write:
    - work/**
    - /a/b**
    - 7
network:
  connect:
    - 1.2.3.4:99999

    - 1:22
    - exa mple
    - [a]
process: [x]
colour: red
"""
    assert problems(tmp_path, policy) == [
        "policy.yaml:1: name: must be text (in quotes, when it looks like a number)",
        "policy.yaml:2: on_violation: 'end' is not one of alert, freeze, kill, kill-scope, deny",
        "policy.yaml:4: files.level: Input should be 'informational', 'low', 'medium', 'high' or 'critical'",
        'policy.yaml:5: files.wirte: is not a key that is known here; did you mean "write"?',
        'policy.yaml:7: files.write[0]: must be an absolute path: it begins with "/"',
        'policy.yaml:8: files.write[1]: "**" must stand alone between two slashes',
        "policy.yaml:9: files.write[2]: must be text (in quotes, when it looks like a number)",
        'policy.yaml:12: network.connect[0]: "99999" is not a port (1 to 65535)',
        "policy.yaml:14: network.connect[1]: must be text (in quotes, when it looks like a number)",
        'policy.yaml:15: network.connect[2]: "exa mple" is not a domain name, an address or a network',
        "policy.yaml:16: network.connect[3]: must be text (in quotes, when it looks like a number)",
        "policy.yaml:17: process: must be a section with keys",
        "policy.yaml:18: colour: is not a key that is known here",
    ]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (" ", ["policy.yaml: is empty: it would judge nothing"]),
        ("# nothing\n", ["policy.yaml: is empty: it would judge nothing"]),
        ("- a\n", ["policy.yaml:1: a policy is a mapping of keys"]),
        (
            "\nname: x\n",
            ["policy.yaml:2: judges nothing: it has no list of what is allowed"],
        ),
        (
            "files: {}\n",
            ["policy.yaml:1: judges nothing: it has no list of what is allowed"],
        ),
        ("files:\n", ["policy.yaml:1: files: must be a section with keys"]),
        ("files: {write: /a}\n", ["policy.yaml:1: files.write: must be a list"]),
        (
            "files: {write: []}\n---\na: b\n",
            ["policy.yaml:3: a policy is one YAML document, this begins another"],
        ),
        (
            "files:\n  write: [/a]\n  write: [/b]\n",
            ["policy.yaml:3: files.write: is there twice, the first time in line 2"],
        ),
        (
            "a: 1\nb: 2\na: 3\nb: 4\n",
            [
                "policy.yaml:3: a: is there twice, the first time in line 1",
                "policy.yaml:4: b: is there twice, the first time in line 2",
            ],
        ),
        (
            "files:\n\twrite: [/a]\n",
            ["policy.yaml:2: is not YAML: found character that cannot start any token"],
        ),
        ("files: {write: [/a}\n", ["policy.yaml:1: is not YAML: did not find expected ',' or ']'"]),
        (
            "files:\n  write:\n    - !/etc/x\n",
            [
                (
                    "policy.yaml:3: files.write[0]: "
                    'unknown tag !/etc/x: a value that begins with "!" must be quoted'
                )
            ],
        ),
        (
            "network:\n  connect:\n    - *.a.org\n",
            [
                (
                    "policy.yaml:3: is not YAML: did not find expected alphabetic or numeric character"
                    ' (a value that begins with "*" must be quoted)'
                )
            ],
        ),
        (
            "files: {write: [2024-13-45]}\n",
            ["policy.yaml:1: files.write[0]: is not a value: month must be in 1..12"],
        ),
        (
            "files: &a\n  write: [/a]\nx:\n  <<: *a\n",
            ['policy.yaml:4: x: merge keys ("<<") are not supported'],
        ),
        (
            "on_violation: shout\nfiles: {write: []}\n",
            ["policy.yaml:1: on_violation: 'shout' is not one of alert, freeze, kill, kill-scope, deny"],
        ),
    ],
)
def test_what_is_no_policy(tmp_path: Path, policy: str, expected: list[str]) -> None:
    assert problems(tmp_path, policy) == expected


def test_what_is_to_be_done(tmp_path: Path) -> None:
    """A section that says nothing does as the whole policy says."""
    path = tmp_path / "policy.yaml"
    path.write_text(
        "on_violation: kill\n"
        "files: {on_violation: freeze, write: []}\n"
        "network: {on_violation: alert, connect: []}\n"
        "process: {exec: []}\n"
    )
    responses = {rule.id: rule.response for rule in load_rules(path, [], packs=False).rules}
    assert responses == {
        "files.write": Response.FREEZE,
        "files.mounts": Response.FREEZE,
        "network.connect": Response.ALERT,
        "process.exec": Response.KILL,
    }


def test_all_sections_can_refuse(tmp_path: Path) -> None:
    every = "on_violation: deny\nnetwork: {connect: []}\nfiles: {write: []}\nprocess: {exec: []}\n"
    assert {rule.response for rule in rules_of(tmp_path, every).rules if rule.id.count(".")} == {
        Response.DENY
    }


def test_a_person_thaws_no_policy_does(tmp_path: Path) -> None:
    assert problems(tmp_path, "on_violation: thaw\nfiles: {write: []}\n") == [
        "policy.yaml:1: on_violation: 'thaw' is not one of alert, freeze, kill, kill-scope, deny"
    ]


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "p"
    path.write_bytes(b"a: b\nc: \xff\n")
    with pytest.raises(RuleFileError, match=r"p:2: is not UTF-8"):
        load_rules(path, [], packs=False)
    path.write_bytes(b"a: \x00\n")
    with pytest.raises(RuleFileError, match=r"p: is not YAML|p:1: is not YAML"):
        load_rules(path, [], packs=False)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RuleFileError, match="none: cannot be read: No such file or directory"):
        load_rules(tmp_path / "none", [], packs=False)
    with pytest.raises(RuleFileError, match="cannot be read: Is a directory"):
        load_rules(tmp_path, [], packs=False)
    (tmp_path / "big").write_bytes(b"# " + b"x" * (1 << 20))
    with pytest.raises(RuleFileError, match="is larger than 1 MiB"):
        load_rules(tmp_path / "big", [], packs=False)


def test_aliases_may_repeat_but_not_explode(tmp_path: Path) -> None:
    fine = "files: {write: &w [/a]}\nprocess: {exec: *w}\n"
    assert len(rules_of(tmp_path, fine).rules) == 3
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    assert problems(tmp_path, bomb) == [
        "policy.yaml:1: is nested too deeply, or its aliases expand to too much"
    ]
    assert problems(tmp_path, "a: &a [*a]\n") == [
        "policy.yaml:1: is nested too deeply, or its aliases expand to too much"
    ]
    assert "is nested too deeply" in problems(tmp_path, "a: " + "[" * 200 + "]" * 200)[0]
    assert "nesting depth" in problems(tmp_path, "[" * 100_000)[0]
