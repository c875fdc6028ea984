"""The table of programs that may be allowed, read as the kernel reads it: nobody dies by mistake."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.rules.made import ran
from tracer.actions.programs import possible_programs
from tracer.events import Action
from tracer.rules.policing import policy_checks
from tracer.rules.policy import Policy

_PRIME, _MASK = 0x100000001B3, (1 << 64) - 1


def refused(keys: list[bytes], path: str) -> bool:
    """As probes/guard.h does it, on a path as it is stored: leaf first."""
    table = {int.from_bytes(key, "little") for key in keys}
    stored = "".join(f"{name}/" for name in reversed(path[1:].split("/"))).encode()
    from_root = from_leaf = 0xCBF29CE484222325
    in_name, allowed = True, False

    def has(value: int, kind: int) -> bool:
        return (value ^ kind) * _PRIME & _MASK in table

    for last, first in zip(reversed(stored), stored, strict=True):
        if last == ord("/"):
            allowed |= has(from_root, 2)
        from_root = (from_root ^ last) * _PRIME & _MASK
        if not in_name:
            continue
        if first == ord("/"):
            allowed |= has(from_leaf, 3)
            in_name = False
            continue
        from_leaf = (from_leaf ^ first) * _PRIME & _MASK
        allowed |= has(from_leaf, 4)
    return not (allowed or has(from_root, 1) or has(from_root, 2))


@pytest.mark.parametrize(
    ("patterns", "path", "expected"),
    [
        (["/usr/bin/git"], "/usr/bin/git", False),
        (["/usr/bin/git"], "/usr/bin/gi", True),
        (["/usr/bin/git"], "/usr/bin/git/x", True),
        (["/usr/bin/git"], "/bin/git", True),
        (["/usr/lib/**"], "/usr/lib/a/b", False),
        (["/usr/lib/**"], "/usr/lib", False),
        (["/usr/lib/**"], "/usr/libexec/a", True),
        (["/usr/*/git"], "/usr/bin/tail", False),  # left to user space
        (["git"], "/anywhere/git", False),
        (["git"], "/git/tail", True),
        (["python3*"], "/usr/bin/python3.11", False),
        (["python3*"], "/usr/bin/python2", True),
        (["git", "!/tmp/**"], "/tmp/git", False),  # left to user space
        ([], "/bin/sh", True),
    ],
)
def test_what_the_kernel_can_tell(patterns: list[str], path: str, expected: bool) -> None:
    keys = possible_programs(patterns)
    assert keys is not None
    assert refused(keys, path) is expected


@pytest.mark.parametrize("pattern", ["*", "/**", "/*/git", "?sh", "[ab]"])
def test_what_may_allow_anything_refuses_nothing(pattern: str) -> None:
    assert possible_programs(["git", pattern]) is None


_NAMES = st.sampled_from(["usr", "bin", "git", "gitk", "g"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=4).map(lambda names: "/" + "/".join(names))
_PIECES = st.sampled_from(["usr", "bin", "git", "g*", "?it", "**", "[g]it"])
_PATTERNS = st.one_of(
    st.lists(_PIECES, min_size=1, max_size=3).map(lambda pieces: "/" + "/".join(pieces)),
    st.sampled_from(["git", "g*", "!git", "!/usr/**", "gi?"]),
)


def policy_of(patterns: list[str]) -> Policy:
    return Policy.model_validate({"process": {"exec": list(patterns)}})


@given(st.lists(_PATTERNS, max_size=4), _PATHS)
def test_nobody_is_killed_by_mistake(patterns: list[str], path: str) -> None:
    keys = possible_programs(patterns)
    if keys is not None and refused(keys, path):
        check = policy_checks(policy_of(patterns))[Action.EXEC]
        assert check(ran("x", path=path)) is not None
