"""A line is added to a policy, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracer.errors import RuleFileError, UsageError
from tracer.rules import Given, read_policy
from tracer.rules.amend import Amendment
from tracer.rules.amend import amend as amend_file
from tracer.rules.inheritance import LISTS
from tracer.rules.policy import Policy

GIVEN = Given({}, {})
BLOCK = """# what our agents may do
name: agents  # shown
files:
  write:
    - /work/**   # theirs
    - /tmp/**
network:
  level: high
  connect: [localhost, "pypi.org:443"]   # mirrors
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def amend(text: str, place: str, entry: str) -> Amendment:
    path = Path("policy.yaml")
    path.write_text(text)
    return amend_file(path, place, entry, GIVEN)


def added(text: str, place: str, entry: str) -> tuple[Policy, str]:
    made = amend(text, place, entry)
    made.write()
    return read_policy(made.path, GIVEN).policy, made.path.read_text()


def test_block_list() -> None:
    policy, after = added(BLOCK, "files.write", "/var/cache/**")
    assert policy.files.write == ("/work/**", "/tmp/**", "/var/cache/**")
    assert after == BLOCK.replace("    - /tmp/**\n", "    - /tmp/**\n    - /var/cache/**\n")


def test_flow_list() -> None:
    policy, after = added(BLOCK, "network.connect", "203.0.113.7:443")
    assert len(policy.network.connect or ()) == 3
    assert after == BLOCK.replace('"pypi.org:443"]', '"pypi.org:443", "203.0.113.7:443"]')


def test_section_without_the_list_and_no_section() -> None:
    policy, after = added(BLOCK, "files.mounts", "bwrap")
    assert policy.files.mounts == ("bwrap",)
    assert "# theirs" in after
    policy, after = added(BLOCK, "process.exec", "git")
    assert policy.process.exec == ("git",)
    assert after.startswith(BLOCK)


@pytest.mark.parametrize(
    "text", ["process:\n  exec: []", "process:\n  exec:\n    - git", "process: \n exec: [git]"]
)
def test_without_a_line_end_and_with_an_empty_list(text: str) -> None:
    policy, _after = added(text, "process.exec", "make")
    assert policy.process.exec
    assert policy.process.exec[-1] == "make"


@pytest.mark.parametrize(
    "entry", ["*.example.org:443", "10.0.0.0/8", "[2001:db8::1]:443", "unix:/run/a b/**"]
)
def test_entries_are_quoted_where_yaml_wants_it(entry: str) -> None:
    for text in (BLOCK, "network:\n  connect:\n  - localhost\n"):
        policy, _after = added(text, "network.connect", entry)
        assert len(policy.network.connect or ()) > 1


def test_names_that_are_something_else_in_yaml() -> None:
    policy, _after = added("process:\n  exec:\n    - git\n", "process.exec", "yes")
    assert policy.process.exec == ("git", "yes")


def test_the_diff_shows_the_line() -> None:
    diff = amend(BLOCK, "files.write", "/x").diff
    assert [line for line in diff if line[:1] in "+-"] == ["+    - /x"]


def test_what_cannot_be_done_is_said() -> None:
    with pytest.raises(UsageError, match="in one line"):
        amend("process: {exec: [git]}", "process.exec", "make")
    with pytest.raises(UsageError, match="no list of a policy"):
        amend(BLOCK, "files.read", "/x")
    with pytest.raises(RuleFileError):
        amend("nonsense: 1", LISTS[0], "/x")
    with pytest.raises(RuleFileError):
        amend(BLOCK, "network.connect", "not an endpoint!")


def test_the_file_is_replaced_with_its_mode_and_what_it_extends_stays(tmp_path: Path) -> None:
    Path("base.yaml").write_text("files: {write: [/base/**]}\n")
    made = amend("extends: ./base.yaml\nprocess:\n  exec: [git]\n", "process.exec", "make")
    made.path.chmod(0o640)
    made.write()
    assert made.path.stat().st_mode & 0o777 == 0o640
    assert read_policy(made.path, GIVEN).policy.files.write == ("/base/**",)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base.yaml", "policy.yaml"]


def test_what_a_link_leads_to_is_changed_and_the_link_stays() -> None:
    Path("real.yaml").write_text(BLOCK)
    Path("policy.yaml").symlink_to("real.yaml")
    amend_file(Path("policy.yaml"), "files.write", "/x", GIVEN).write()
    assert Path("policy.yaml").is_symlink()
    assert "    - /x\n" in Path("real.yaml").read_text()


def test_bytes_that_are_not_text() -> None:
    with pytest.raises(UsageError, match="not text"):
        amend(BLOCK, "files.write", "/x\udcff")


@pytest.mark.parametrize("text", ["files:\n  write: [/a]\n", "files:\n  write:\n    - /a\n"])
@pytest.mark.parametrize("entry", ["/a, /b", "/{x}", "/\N{GRINNING FACE}", "/a: b", "/a #b", '/"', "/\n/b"])
def test_an_entry_stays_one_entry(text: str, entry: str) -> None:
    assert added(text, "files.write", entry)[0].files.write == ("/a", entry)
