"""Policies that extend others, and variables: what is in force, and what is refused with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.rules.made import broken, connected, file, ran
from tracer.errors import RuleFileError
from tracer.rules import Given, load_rules, of_this_machine, parse_assignment, read_policy

GIVEN = Given({"workspace": ("/w",), "home": ("/home/ada",), "resolvers": ("192.0.2.53:53",)})


def keys(folder: Path, text: str, given: Given = GIVEN, **others: str) -> dict[str, Any]:
    (folder / "policy.yaml").write_text(text)
    for name, other in others.items():
        (folder / f"{name}.yaml").write_text(other)
    return dict(read_policy(folder / "policy.yaml", given).keys)


def problems(folder: Path, text: str, given: Given = GIVEN, **others: str) -> list[str]:
    with pytest.raises(RuleFileError) as caught:
        keys(folder, text, given, **others)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


BASE = """\
name: base
on_violation: kill
files: {level: low, write: [/a, /b]}
network: {connect: [localhost]}
"""


def test_lists_are_joined_and_other_keys_are_the_later_ones(tmp_path: Path) -> None:
    found = keys(tmp_path, "extends: base.yaml\nfiles: {level: high, write: ['!/b', /a, /c]}\n", base=BASE)
    assert found == {
        "name": "base",
        "on_violation": "kill",
        "files": {"level": "high", "write": ["/a", "/b", "!/b", "/c"]},
        "network": {"connect": ["localhost"]},
    }


def test_a_section_begins_anew(tmp_path: Path) -> None:
    text = "extends: base.yaml\nfiles: {inherit: false, write: [/c]}\nnetwork: {inherit: false}\n"
    found = keys(tmp_path, text, base=BASE)
    assert found["files"] == {"write": ["/c"]}
    assert found["network"] == {}


def test_several_in_their_order_and_one_twice(tmp_path: Path) -> None:
    found = keys(
        tmp_path,
        "extends: [left.yaml, right.yaml]\nname: whole\n",
        base=BASE,
        left="extends: ./base.yaml\nfiles: {level: medium, write: [/left]}\n",
        right="extends: ./base.yaml\nname: right\nfiles: {write: [/right]}\n",
    )
    assert found["name"] == "whole"
    assert found["files"] == {"level": "medium", "write": ["/a", "/b", "/left", "/right"]}


def test_circles(tmp_path: Path) -> None:
    assert problems(tmp_path, "extends: policy.yaml\n")[0] == (
        'policy.yaml:1: extends: "policy.yaml" extends this file in turn'
    )
    found = problems(tmp_path, "extends: [a.yaml]\nfiles: {write: []}\n", a="\nextends: policy.yaml\n")
    assert found == ['a.yaml:2: extends: "policy.yaml" extends this file in turn']


def test_a_long_chain(tmp_path: Path) -> None:
    chain = {f"c{n}": f"extends: c{n + 1}.yaml\n" for n in range(40)}
    found = problems(tmp_path, "extends: c0.yaml\nfiles: {write: []}\n", **chain, c40=BASE)
    assert found == ["c14.yaml:1: extends: more than 16 policies extend each other"]


def test_what_cannot_be_extended(tmp_path: Path) -> None:
    found = problems(tmp_path, "extends:\n  - coding-agnet\n  - ./none.yaml\n  - 5\nfiles: {write: []}\n")
    assert found == [
        (
            'policy.yaml:2: extends[0]: "coding-agnet" is no file here, and no profile: '
            "there are browser-agent, coding-agent, offline, rl-sandbox"
        ),
        "none.yaml: cannot be read: No such file or directory",
        "policy.yaml:4: extends[2]: must be text (in quotes, when it looks like a number)",
    ]


def test_mistakes_of_all_files_come_together(tmp_path: Path) -> None:
    found = problems(tmp_path, "extends: base.yaml\nfiles: {write: [b]}\n", base="\nfiles: {wirte: []}\n")
    assert found == [
        'base.yaml:2: files.wirte: is not a key that is known here; did you mean "write"?',
        'policy.yaml:2: files.write[0]: must be an absolute path: it begins with "/"',
    ]


# --- variables --------------------------------------------------------------------------------------------


def test_variables_are_put_in(tmp_path: Path) -> None:
    text = """\
variables:
  cache: ${home}/.cache
  hosts: [a.example, b.example]
files: {write: ["${workspace}/**", "!${cache}/x", "/lit/$${y}"]}
network: {connect: ["${hosts}:443", "*.${hosts}", "${resolvers}", "unix:${workspace}/s"]}
"""
    assert keys(tmp_path, text) == {
        "files": {"write": ["/w/**", "!/home/ada/.cache/x", "/lit/${y}"]},
        "network": {
            "connect": [
                *("a.example:443", "b.example:443", "*.a.example", "*.b.example"),
                *("192.0.2.53:53", "unix:/w/s"),
            ]
        },
    }


def test_a_value_is_no_pattern(tmp_path: Path) -> None:
    """A workspace of any name allows itself, and nothing that only looks like it."""
    given = Given({"workspace": ("/w/[a-z]*?\\${home}/",)})
    (tmp_path / "policy.yaml").write_text("files: {write: ['${workspace}/**']}")
    rules = load_rules(tmp_path / "policy.yaml", [], packs=False, given=given)
    assert not rules.judge(file("/w/[a-z]*?\\${home}/x"))
    assert rules.judge(file("/w/bcd/x"))


def test_who_has_the_last_word(tmp_path: Path) -> None:
    text = "extends: base.yaml\nvariables: {workspace: /of-file, own: /of-file}\n"
    entries = "files: {write: ['${workspace}', '${own}', '${other}']}\n"
    base = f"variables: {{own: /of-base, other: /of-base}}\n{entries}"
    assert keys(tmp_path, text, base=base)["files"]["write"] == ["/of-file", "/of-file", "/of-base"]
    given = Given(GIVEN.machine, {"workspace": ("/said",)})
    assert keys(tmp_path, text, given, base=base)["files"]["write"] == ["/said", "/of-file", "/of-base"]


def test_variables_that_are_wrong(tmp_path: Path) -> None:
    text = """\
variables: {a: "${b}", b: "${a}", 1x: y, c: 5, many: [1, 2]}
files:
  write:
    - ${a}
    - ${hoem}/x
    - ${}
"""
    assert problems(tmp_path, text) == [
        "policy.yaml:1: variables.1x: is not a name: letters, digits, _ and -",
        'policy.yaml:4: files.write[0]: the variable "a" is made of itself',
        'policy.yaml:5: files.write[1]: there is no variable "hoem"; did you mean "home"?',
        'policy.yaml:6: files.write[2]: there is no variable ""; give it under variables, or with --set',
        "policy.yaml:1: variables.c: must be a list",
        "policy.yaml:1: variables.many[0]: must be text (in quotes, when it looks like a number)",
        "policy.yaml:1: variables.many[1]: must be text (in quotes, when it looks like a number)",
    ]


def test_variables_may_not_explode(tmp_path: Path) -> None:
    values = "variables: {a: [" + ", ".join(f"v{n}" for n in range(40)) + "]}\n"
    found = problems(tmp_path, values + "files: {write: ['/${a}${a}${a}']}\n")
    assert found == ["policy.yaml:2: files.write[0]: stands for more than 1000 entries"]


def test_a_mistake_after_several_values_has_its_own_line(tmp_path: Path) -> None:
    text = "variables: {a: [x, y, z]}\nfiles:\n  write:\n    - /${a}\n    - oops\n"
    assert problems(tmp_path, text) == [
        'policy.yaml:5: files.write[3]: must be an absolute path: it begins with "/"'
    ]


def test_no_workspace_in_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    found = problems(tmp_path, "files: {write: ['${workspace}/**']}\n", Given(of_this_machine()))
    assert found == [
        (
            "policy.yaml:1: files.write[0]: there is no workspace in /, where it would be everything: "
            "give it with --set workspace=FOLDER"
        )
    ]


def test_variables_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    found = of_this_machine()
    assert found["workspace"] == found["home"] == (str(tmp_path.resolve()),)


def test_assignments() -> None:
    assert parse_assignment("a=x,y=z") == ("a", ("x", "y=z"))
    assert parse_assignment("workspace=/usr/../a,b") == ("workspace", ("/a,b",))
    for text in ("a", "=x", "1=x"):
        with pytest.raises(ValueError, match="is not NAME=VALUE"):
            parse_assignment(text)


def test_a_record_brings_them_back() -> None:
    given = Given(GIVEN.machine, {"x": ("1", "2")})
    assert Given.recorded(given.record()) == given
    assert Given.recorded({"machine": 5, "fixed": {"x": 5, "y": [1]}}) == Given({}, {"y": ("1",)})
    assert Given.recorded(None) == Given()


def test_the_digest_holds_the_variables_that_are_used(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("files: {write: ['${workspace}']}")

    def digest(**machine: str) -> str:
        given = Given({name: (value,) for name, value in machine.items()})
        return load_rules(tmp_path / "p", [], packs=False, given=given).digest

    assert digest(workspace="/a", home="/x") == digest(workspace="/a", home="/y")
    assert digest(workspace="/a") != digest(workspace="/b")


# --- the profiles -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "breaks"),
    [
        ("coding-agent", {"etc", "rc", "foreign", "metadata", "private", "memfd"}),
        ("browser-agent", {"etc", "rc", "metadata", "private", "memfd"}),
        ("rl-sandbox", {"etc", "rc", "npm", "foreign", "registry", "metadata", "private", "memfd"}),
        ("offline", {"foreign", "registry", "metadata", "private"}),
    ],
)
def test_what_the_profiles_allow(profile: str, breaks: set[str]) -> None:
    acts = {
        "workspace": file("/w/src/a.py"),
        "temporary": file("/tmp/pip-build-1/x"),
        "cache": file("/home/ada/.cache/pip/http/a"),
        "npm": file("/home/ada/.npm/_cacache/x"),
        "etc": file("/etc/passwd"),
        "rc": file("/home/ada/.bashrc"),
        "git": ran("git", "status"),
        "built": ran("./t", path="/w/t"),
        "memfd": ran("x", path="/memfd:x (deleted)"),
        "loopback": connected("127.0.0.1", 5432),
        "registry": connected("198.51.100.4", 443, "files.pythonhosted.org"),
        "foreign": connected("198.51.100.5", 443, "evil.example"),
        "metadata": connected("169.254.169.254", 80),
        "private": connected("10.1.2.3", 443, "intern.example"),
    }
    rules = load_rules(profile, [], packs=False, given=GIVEN)
    assert {name for name, made in acts.items() if broken(rules.judge(made))} == breaks


def test_a_domain_that_is_resolved_to_what_is_taken_away(tmp_path: Path) -> None:
    text = "network: {connect: ['*.example', '*', '!10.0.0.0/8', '!192.0.2.0/24:22']}"
    (tmp_path / "p").write_text(text)
    rules = load_rules(tmp_path / "p", [], packs=False)
    assert rules.judge(connected("10.0.0.1", 443, "rebound.example"))
    assert rules.judge(connected("192.0.2.1", 22))
    assert not rules.judge(connected("192.0.2.1", 23))
    assert not rules.judge(connected("10.0.0.1", 0, transport="udp"))


def test_a_file_may_be_called_as_a_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "offline").write_text("files: {write: []}")
    assert [rule.id for rule in load_rules("./offline", [], packs=False).rules] == [
        "files.write",
        "files.mounts",
    ]
    assert [rule.id for rule in load_rules("offline", [], packs=False).rules] == ["network.connect"]
