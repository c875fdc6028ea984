from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.context.paths import joined


@pytest.mark.parametrize(
    ("base", "name", "path"),
    [
        ("/work", "a", "/work/a"),
        ("/", "a", "/a"),
        ("/work", "", "/work"),
        ("/", "/etc/x", "/etc/x"),
        ("/jail", "/etc/x", "/jail/etc/x"),
        ("/jail", "/", "/jail"),
        ("/jail", "/../../etc/x", "/jail/etc/x"),
        ("/jail", "/a/../..", "/jail"),
        ("/", "/..", "/"),
        ("/work/a", "../b", "/work/b"),
        ("/work", "../../../..", "/"),
        ("/work", "./a//b/./c/", "/work/a/b/c"),
        ("/work", "a/../../b", "/b"),
        ("/work", ".git/x", "/work/.git/x"),
        ("/work", "...", "/work/..."),
        ("/work", "a..b/c.", "/work/a..b/c."),
        ("/work", "a/..", "/work"),
        ("/work", "x\n/\udcff", "/work/x\n/\udcff"),
        ("", "../a", "../a"),
        ("deep/dir", "a", "deep/dir/a"),
        ("deep/dir", "../a", "deep/a"),
        ("deep", "../../a", "a"),
    ],
)
def test_base_and_name(base: str, name: str, path: str) -> None:
    assert joined(base, name) == path


@given(st.lists(st.sampled_from(["a", "b.c", ".", "..", "", "..."]), max_size=8), st.booleans())
def test_agrees_with_posixpath(parts: list[str], below_root: bool) -> None:
    base = "/" if below_root else "/x/y"
    name = "/".join(parts).lstrip("/")
    assert joined(base, name) == posixpath.normpath(posixpath.join(base, name)).replace("//", "/")
