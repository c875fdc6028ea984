"""The lists of paths in a policy: one test for the rules, one automaton for the kernel, of the same meaning.

Whatever is said here of a list is said twice, as a test of a path (`Matcher`), which is fast in Python, and
as the sides of a `PathList`, of which `tracer.rules.automaton` makes a table; the tests hold them against
each other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tracer.rules.globs import Matcher, compile_globs

HARMLESS = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/ptmx", "/dev/pts/**")
_ALLOWED, _TAKEN = "allowed", "taken"
_NAMES, _TAKEN_NAMES = "names", "taken names"
_WRITABLE, _NOT_WRITABLE = "writable", "not writable"


@dataclass(frozen=True, slots=True)
class PathList:
    """`sides` are patterns of `tracer.rules.globs`; `verdict` says from the sides that match whether a path
    is allowed. What no side matches is not.
    """

    sides: Mapping[str, Sequence[str]]
    verdict: Callable[[Collection[str]], bool]


def path_list(patterns: Iterable[str]) -> PathList:
    """See `compile_paths`."""
    allowed, taken = _sides(patterns)
    return PathList({_ALLOWED: allowed, _TAKEN: taken}, _is_path_allowed)


def _is_path_allowed(matched: Collection[str]) -> bool:
    return _ALLOWED in matched and _TAKEN not in matched


def compile_paths(patterns: Iterable[str]) -> Matcher:
    """True for a path that some pattern allows and none that begins with "!" takes away."""
    allowed, taken = map(compile_globs, _sides(patterns))
    return lambda path: allowed(path) and not taken(path)


def program_list(patterns: Iterable[str], writable: Iterable[str]) -> PathList:
    """See `compile_programs`; `writable` are patterns."""
    patterns = list(patterns)
    paths, taken_paths = _sides(pattern for pattern in patterns if "/" in pattern)
    names, taken_names = _sides(pattern for pattern in patterns if "/" not in pattern)
    can_write, cannot_write = _sides(writable)
    sides = {
        _ALLOWED: paths,
        _TAKEN: taken_paths,
        _NAMES: [f"/**/{name}" for name in names],
        _TAKEN_NAMES: [f"/**/{name}" for name in taken_names],
        _WRITABLE: can_write,
        _NOT_WRITABLE: cannot_write,
    }
    return PathList(sides, _is_program_allowed)


def _is_program_allowed(matched: Collection[str]) -> bool:
    if _TAKEN in matched or _TAKEN_NAMES in matched:
        return False
    is_writable = _WRITABLE in matched and _NOT_WRITABLE not in matched
    return _ALLOWED in matched or (_NAMES in matched and not is_writable)


def compile_programs(patterns: Iterable[str], writable: Matcher) -> Matcher:
    """Likewise; a pattern without a slash is compared with the base name.

    It says nothing of a program where the sandbox may write: that can have any name.
    """
    patterns = list(patterns)
    allowed, taken = map(compile_globs, _sides(pattern for pattern in patterns if "/" in pattern))
    sides = _sides(pattern for pattern in patterns if "/" not in pattern)
    names, taken_names = (compile_globs(f"/{name}" for name in side) for side in sides)

    def test(path: str) -> bool:
        name = path[path.rfind("/") :]
        return (allowed(path) or (names(name) and not writable(path))) and not (
            taken(path) or taken_names(name)
        )

    return test


def _sides(patterns: Iterable[str]) -> tuple[list[str], list[str]]:
    """Those that allow, and those that take away, without their "!"."""
    patterns = list(patterns)
    allowing = [pattern for pattern in patterns if not pattern.startswith("!")]
    return allowing, [pattern[1:] for pattern in patterns if pattern.startswith("!")]
