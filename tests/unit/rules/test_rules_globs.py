from __future__ import annotations

import time
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.rules.globs import compile_globs, translate


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("/etc/passwd", ["/etc/passwd"], ["/etc/passwd-", "/x/etc/passwd", "/ETC/passwd", "/etc/passwd\n"]),
        ("/work/**", ["/work", "/work/a", "/work/a/b", "/work/.x"], ["/workshop", "/wor", "/", "/x/work/a"]),
        ("/work/*", ["/work/a", "/work/.x", "/work/a\nb"], ["/work", "/work/", "/work/a/b"]),
        ("/**", ["/", "/a", "/a/b"], []),
        ("/a/**/b", ["/a/b", "/a/x/b", "/a/x/y/b"], ["/a/xb", "/a/b/x", "/ab"]),
        ("/a/**/b/**/c", ["/a/b/c", "/a/1/b/2/3/c"], ["/a/c", "/a/b/cc"]),
        ("/**/x.py", ["/x.py", "/a/x.py", "/a/b/x.py"], ["/a/xx.py", "/x.py/a"]),
        ("/tmp/*/log-?", ["/tmp/a/log-1"], ["/tmp/log-1", "/tmp/a/log-", "/tmp/a/b/log-1", "/tmp/a/log-/"]),
        ("/*/**", ["/a", "/a/b/c"], ["/"]),
        ("/w/[ab]*", ["/w/a", "/w/bb"], ["/w/c", "/w/"]),
        ("/w/[!ab]x", ["/w/cx", "/w/^x"], ["/w/ax", "/w//x"]),
        ("/w/[]]", ["/w/]"], ["/w/["]),
        (r"/w/\*", ["/w/*"], ["/w/a"]),
        ("/w/a.b+c(d)", ["/w/a.b+c(d)"], ["/w/aXb+c(d)"]),
        ("/home/*/*.py", ["/home/a/b.py", "/home/a/.py"], ["/home/b.py", "/home/a/b.pyc"]),
        ("/\udcff*", ["/\udcffx"], ["/x"]),
    ],
)
def test_a_pattern_matches_whole_paths(pattern: str, yes: list[str], no: list[str]) -> None:
    test = compile_globs([pattern])
    assert [path for path in yes if not test(path)] == []
    assert [path for path in no if test(path)] == []


def test_patterns_together_are_any_of_them() -> None:
    test = compile_globs(["/a/**", "/b", "/c/*.x", "/d/?"])
    assert all(map(test, ["/a/1/2", "/b", "/c/1.x", "/d/1"]))
    assert not any(map(test, ["/b/1", "/c/1.y", "/d/12", ""]))
    assert not compile_globs([])("/a")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("work/**", "absolute"),
        ("~/x", "absolute"),
        ("", "absolute"),
        ("/a/b**", "alone"),
        ("/a/***", "alone"),
        ("/a//b", 'component ""'),
        ("/a/../b", 'component ".."'),
        ("/a/", 'component ""'),
        ("/a/[b", "without"),
        ("/a/[z-a]", "not a range"),
        ("/a/[a--b]", "not a range"),
        ("/a\\", "nothing to escape"),
    ],
)
def test_what_is_no_pattern_says_why(pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        translate(pattern)


def test_a_hostile_path_takes_no_longer_than_its_length() -> None:
    patterns = [
        "/a/**/a/**/a/**/b",
        "/" + "*a" * 20 + "b",
        "/**/" + "*a" * 20 + "b",
        "/" + "a/**/" * 8 + "c/*",
    ]
    test = compile_globs(patterns)
    began = time.process_time()
    assert not test("/a" * 2000 + "/c")
    assert not test("/" + "a" * 4000)
    assert time.process_time() - began < 0.5


# --- against an evaluator that knows nothing of regular expressions --------------------------------------


def slow_match(pattern: str, path: str) -> bool:
    """The same by trying every possibility."""
    if pattern.endswith("/**") and path == pattern[:-3]:
        return True
    wanted, given_ = tuple(pattern[1:].split("/")), tuple(path[1:].split("/"))

    @cache
    def component(want: str, have: str) -> bool:
        if not want:
            return not have
        if want[0] == "*":
            return any(component(want[1:], have[cut:]) for cut in range(len(have) + 1))
        return bool(have) and (want[0] in ("?", have[0])) and component(want[1:], have[1:])

    @cache
    def whole(left: int, right: int) -> bool:
        if left == len(wanted):
            return right == len(given_)
        if wanted[left] == "**":
            if left == len(wanted) - 1:
                return True
            return any(whole(left + 1, cut) for cut in range(right, len(given_) + 1))
        return (
            right < len(given_)
            and bool(given_[right])
            and component(wanted[left], given_[right])
            and whole(left + 1, right + 1)
        )

    return path.startswith("/") and whole(0, 0)


names = st.text("ab", min_size=1, max_size=4)
patterns = st.lists(
    st.one_of(st.just("**"), st.text("ab*?", min_size=1, max_size=5).filter(lambda text: "**" not in text)),
    min_size=1,
    max_size=5,
).map(lambda components: "/" + "/".join(components))


@given(pattern=patterns, components=st.lists(names, min_size=1, max_size=6))
def test_globs_agree_with_a_slow_evaluator(pattern: str, components: list[str]) -> None:
    path = "/" + "/".join(components)
    expected = slow_match(pattern, path)
    if pattern.endswith("/**") and not expected:  # the folder itself belongs to its tree
        expected = slow_match(pattern[:-3] or "/x", path) and pattern != "/**"
    assert compile_globs([pattern])(path) is expected
