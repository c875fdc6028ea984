"""The kernel's table of paths says what the rules say, of every path."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracer.rules.allowed import compile_paths, compile_programs, path_list, program_list
from tracer.rules.automaton import CELLS_MAX, Automaton, compile_automaton, stored


def of_paths(*patterns: str) -> Automaton:
    return compile_automaton([path_list(patterns)])


@pytest.mark.parametrize(
    ("path", "walked"),
    [
        ("/", b""),
        ("/usr/bin/git", b"git/bin/usr/"),
        ("/a b/\n", b"\n/a b/"),
        ("/\udcff/é", b"\xc3\xa9/\xff/"),
    ],
)
def test_a_path_is_read_from_its_leaf(path: str, walked: bytes) -> None:
    assert stored(path) == walked


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("/etc/passwd", ["/etc/passwd"], ["/etc/passwd-", "/x/etc/passwd", "/ETC/passwd", "/etc", "/"]),
        ("/work/**", ["/work", "/work/a", "/work/a/b", "/work/.x"], ["/workshop", "/wor", "/", "/x/work/a"]),
        ("/work/*", ["/work/a", "/work/.x", "/work/a\nb"], ["/work", "/work/a/b"]),
        ("/**", ["/", "/a", "/a/b"], []),
        ("/", ["/"], ["/a"]),
        ("/a/**/b", ["/a/b", "/a/x/b", "/a/x/y/b"], ["/a/xb", "/a/b/x", "/ab"]),
        ("/w/[!ab]x", ["/w/cx", "/w/^x", "/w/éx"], ["/w/ax", "/w/x"]),
        ("/w/?", ["/w/a", "/w/é", "/w/\U0001f600", "/w/\udcff"], ["/w/ab", "/w", "/w/éé", "/w/\udcc3\udcc3"]),
        ("/w/é?", ["/w/éa", "/w/éü"], ["/w/é", "/w/ea", "/w/\udcc3a", "/w/\udcc3\udca9a\udca9"]),
        ("/w/[éa]", ["/w/é", "/w/a"], ["/w/è", "/w/\udcc3", "/w/b"]),
    ],
)
def test_a_pattern_matches_whole_paths(pattern: str, yes: list[str], no: list[str]) -> None:
    automaton = of_paths(pattern)
    assert [path for path in yes if not automaton.allows(0, path)] == []
    assert [path for path in no if automaton.allows(0, path)] == []


def test_several_lists_keep_apart() -> None:
    writes, programs = ["/work/**", "!/work/.git/**"], ["git", "/opt/**"]
    automaton = compile_automaton([path_list(writes), program_list(programs, writes)])
    answers = [
        [automaton.allows(number, path) for path in ("/work/git", "/work/.git/git", "/opt/a", "/bin/git")]
        for number in (0, 1)
    ]
    assert answers == [[True, False, False, False], [False, True, True, True]]


def test_no_pattern_allows_nothing() -> None:
    assert not any(of_paths().allows(0, path) for path in ("/", "/a"))


def test_what_is_too_much_for_the_table_is_said() -> None:
    with pytest.raises(ValueError, match="more than the kernel's table"):
        of_paths("/*a" + "?" * 20)
    with pytest.raises(ValueError, match="too much for the kernel"):
        of_paths("/[à-ü]")


def test_paths_that_end_alike_share_their_rows() -> None:
    """Hundreds of files by name, as `rubicon learn` writes them, leave room."""
    patterns = [f"/srv/project/part{part}/file-{number}.txt" for part in range(30) for number in range(30)]
    automaton = of_paths(*patterns)
    assert all(automaton.allows(0, path) for path in patterns)
    assert not automaton.allows(0, "/srv/project/part30/file-1.txt")
    assert len(automaton.cells) < CELLS_MAX / 20


# --- agreement ------------------------------------------------------------------------------------------

_LETTERS = "abé\udcff\n-."
_WILD = ["*", "?", "[ab]", "[!a]", "[éa]", "\\*", "a", "b", "é", "ab", "\udcff", "."]
_component = st.lists(st.sampled_from(_WILD), min_size=1, max_size=4).map("".join)
_component = _component.filter(lambda text: "**" not in text and text not in (".", ".."))
_pattern = st.lists(st.one_of(_component, st.just("**")), min_size=1, max_size=4).map(
    lambda components: "/" + "/".join(components)
)
_taking = st.tuples(st.booleans(), _pattern).map(lambda pair: f"!{pair[1]}" if pair[0] else pair[1])
_named = st.tuples(st.booleans(), _component).map(lambda pair: f"!{pair[1]}" if pair[0] else pair[1])
_PIECES = [b"a", b"b", b"\xc3", b"\xa9", b"\xe2\x82", b"\xac", b"\xf0\x9f", b"\x80", b"\xff"]
# Whole characters, halves of them, and what is no UTF-8 at all.
_name = st.one_of(
    st.text(_LETTERS, min_size=1, max_size=4),
    st.lists(
        st.sampled_from([b"a", b"b", b"\xc3", b"\xa9", b"\xe2\x82", b"\xac", b"\xf0\x9f", b"\x80", b"\xff"])
    )
    .map(lambda pieces: os.fsdecode(b"".join(pieces)))
    .filter(bool),
)
_path = st.lists(_name, max_size=5).map(lambda names: "/" + "/".join(names))


@settings(max_examples=60, deadline=None)
@given(patterns=st.lists(_taking, max_size=4), paths=st.lists(_path, min_size=1, max_size=10))
def test_kernel_and_rules_agree_on_paths(patterns: list[str], paths: list[str]) -> None:
    allows, automaton = compile_paths(patterns), of_paths(*patterns)
    assert [automaton.allows(0, path) for path in paths] == [allows(path) for path in paths]


@settings(max_examples=60, deadline=None)
@given(
    programs=st.lists(st.one_of(_taking, _named), max_size=4),
    writable=st.lists(_taking, max_size=2),
    paths=st.lists(_path.filter(lambda path: path != "/"), min_size=1, max_size=10),
)
def test_kernel_and_rules_agree_on_programs(
    programs: list[str], writable: list[str], paths: list[str]
) -> None:
    allows = compile_programs(programs, compile_paths(writable))
    automaton = compile_automaton([program_list(programs, writable)])
    assert [automaton.allows(0, path) for path in paths] == [allows(path) for path in paths]
