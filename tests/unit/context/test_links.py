from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracer.context.links import Links
from tracer.context.paths import joined


@pytest.fixture
def links() -> Links:
    links = Links()
    links.made("/work/out", "/etc")
    links.made("/work/up", "../srv/data")
    links.made("/work/deep/chain", "../out/ssh")
    return links


@pytest.mark.parametrize(
    ("base", "name", "path"),
    [
        ("/work", "out/passwd", "/etc/passwd"),
        ("/", "work/out/passwd", "/etc/passwd"),
        ("/", "/work/out/passwd", "/etc/passwd"),
        ("/work", "out/../x", "/x"),
        ("/work", "up/x", "/srv/data/x"),
        ("/work", "deep/chain/key", "/etc/ssh/key"),
        ("/work/deep", "./chain//key/", "/etc/ssh/key"),
        ("/work", "out", "/work/out"),
        ("/work", "other/out/x", "/work/other/out/x"),
        ("/jail", "/work/out/x", "/jail/work/out/x"),
        ("cut/work", "out/x", "cut/work/out/x"),
        ("", "out/x", "out/x"),
        ("/work", "", "/work"),
    ],
)
def test_names_lead_through_links(links: Links, base: str, name: str, path: str) -> None:
    assert links.resolved(base, name, follow=False) == path


def test_the_last_name_is_followed_on_demand(links: Links) -> None:
    assert links.resolved("/work", "out", follow=True) == "/etc"


def test_a_link_in_a_chroot_leads_no_further_than_its_root(links: Links) -> None:
    links.made("/jail/a", "/b")
    links.made("/jail/c", "../../../b")
    assert links.resolved("/jail", "/a/x", follow=False) == "/jail/b/x"
    assert links.resolved("/jail", "/c/x", follow=False) == "/jail/b/x"


def test_a_ring_of_links_ends() -> None:
    links = Links()
    links.made("/a", "/b")
    links.made("/b", "/a")
    assert links.resolved("/", "a/x", follow=False) in ("/a/x", "/b/x")


def test_a_moved_directory_takes_its_links_along(links: Links) -> None:
    links.moved("/work", "/home")
    assert links.resolved("/home", "out/x", follow=False) == "/etc/x"
    assert links.resolved("/work", "out/x", follow=False) == "/work/out/x"


def test_an_exchange_works_both_ways(links: Links) -> None:
    links.moved("/work/dir", "/work/out", exchanged=True)
    assert links.resolved("/work", "dir/x", follow=False) == "/etc/x"
    assert links.resolved("/work", "out/x", follow=False) == "/work/out/x"


def test_a_hard_link_to_a_link_is_one(links: Links) -> None:
    links.linked("/work/out", "/work/second")
    links.linked("/work/file", "/work/out")
    assert links.resolved("/work", "second/x", follow=False) == "/etc/x"
    assert links.resolved("/work", "out/x", follow=False) == "/work/out/x"


def test_a_rename_between_two_names_of_one_link_leaves_both(links: Links) -> None:
    links.linked("/work/out", "/work/second")
    links.moved("/work/out", "/work/second")
    assert links.resolved("/work", "second/x", follow=False) == "/etc/x"
    assert links.resolved("/work", "out/x", follow=False) == "/etc/x"


def test_what_is_replaced_or_removed_is_forgotten(links: Links) -> None:
    links.gone("/work/out")
    links.moved("/work/file", "/work/up")
    links.made("/work/deep", "/opt")
    assert links.resolved("/work", "out/x", follow=False) == "/work/out/x"
    assert links.resolved("/work", "up/x", follow=False) == "/work/up/x"
    assert links.resolved("/work", "deep/chain", follow=False) == "/opt/chain"


def test_memory_has_a_bound_and_is_given_back() -> None:
    links = Links(room_bytes=10_000)
    for _round in range(3):
        for number in range(100):
            links.made(f"/{number}/a", "/etc")
        known = [links.resolved(f"/{number}", "a", follow=True) == "/etc" for number in range(100)]
        assert known == [True] * 9 + [False] * 91
        for number in range(100):
            links.moved(f"/{number}/a", f"/{number}/b")
            links.gone(f"/{number}/b")


NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
TARGETS = st.lists(st.sampled_from(["a", "b", "c", "..", "."]), min_size=1, max_size=3).map("/".join)
ACTS = st.lists(
    st.tuples(
        st.sampled_from(["mkdir", "symlink", "rename", "link", "unlink", "rmdir"]), PATHS, TARGETS, PATHS
    )
)


@settings(deadline=None)  # a disk may take its time
@given(acts=ACTS, name=PATHS)
def test_agrees_with_the_kernel(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, str, str, str]], name: str
) -> None:
    root = Path(os.path.realpath(tmp_path_factory.mktemp("links")))
    links = Links()
    for asked in acts:
        if not all(_stays_inside(root, path) for path in (asked[1], asked[3])):
            continue
        try:
            _do(links, root, asked)
        except OSError:
            continue
    try:
        found = os.path.realpath(root / name, strict=True)
    except OSError:
        return
    assert links.resolved(str(root), name, follow=True) == found


def _stays_inside(root: Path, path: str) -> bool:
    """A link to ".." leads to a folder where other examples have left something."""
    return Path(os.path.realpath((root / path).parent)).is_relative_to(root)


def _do(links: Links, root: Path, asked: tuple[str, str, str, str]) -> None:
    """An act, and if the kernel allows it what `Context` says of it; by the same paths as there."""
    act, path, target, other = asked
    at = links.resolved(str(root), path, follow=False)
    if act == "mkdir":
        (root / path).mkdir()
        links.gone(at)
    elif act == "symlink":
        (root / path).symlink_to(target)
        links.made(at, target)
    elif act == "rename":
        to = links.resolved(str(root), other, follow=False)
        (root / path).rename(root / other)
        links.moved(at, to)
    elif act == "link":
        to = links.resolved(str(root), other, follow=False)
        (root / other).hardlink_to(root / path)
        links.linked(at, to)
    elif act == "unlink":
        (root / path).unlink()
        links.gone(at)
    else:
        (root / path).rmdir()
        links.gone(at)


def test_without_links_it_is_joined() -> None:
    assert Links().resolved("/work", "a/../b", follow=False) == joined("/work", "a/../b")
