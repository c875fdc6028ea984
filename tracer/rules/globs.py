"""Path patterns of a policy.

    *       any characters but the slash
    ?       one character but the slash
    [a-z]   one of these; [!a-z] one of the others
    **      as a whole component: any number of directories, also none; `/work/**` is /work and all below
    \\      takes the meaning from the next character

A pattern begins with a slash. Case matters, as it does in the file system.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

Matcher = Callable[[str], bool]

_SPECIAL = frozenset("*?[\\")
_DIRECTORIES = "(?:[^/]+/)*"


def translate(pattern: str) -> str:
    """A regular expression that a whole path must match. Raises ValueError when `pattern` is not one.

    Wildcards are atomic groups that take the shortest match: for globs the first match is as good as any, and
    no path, however long, makes the expression try again and again.
    """
    components = split(pattern)
    if components[-1:] == ["**"]:
        head = _components(components[:-1])
        return f"/{head.removesuffix('/')}(?:/.*)?" if head else "/.*"
    return "/" + _components(components).removesuffix("/")


def split(pattern: str) -> list[str]:
    """The components; a run of `**` is the same as one. Raises ValueError when `pattern` is not one."""
    if not pattern.startswith("/"):
        raise ValueError('must be an absolute path: it begins with "/"')
    components: list[str] = []
    for component in pattern[1:].split("/"):
        if "**" in component and component != "**":
            raise ValueError('"**" must stand alone between two slashes')
        if component in ("", ".", "..") and pattern != "/":
            raise ValueError(f'has the component "{component}", which no path of the kernel has')
        if component != "**" or components[-1:] != ["**"]:
            components.append(component)
    return components


def _components(components: list[str]) -> str:
    """Each component with a slash after it. What follows a `**` up to the next is one atomic group."""
    runs: list[list[str]] = [[]]
    for component in components:
        if component == "**":
            runs.append([])
        else:
            runs[-1].append(component)
    texts = ["".join(_component(component) + "/" for component in run) for run in runs]
    if len(texts) == 1:
        return texts[0]
    middle = "".join(f"(?>(?:[^/]+/)*?{text})" for text in texts[1:-1])
    return f"{texts[0]}{middle}{_DIRECTORIES}{texts[-1]}"


def _component(component: str) -> str:
    """One component: between two stars, the shortest match that leads to the literal text."""
    segments = [""]
    for text in characters(component):
        if text is None:
            segments.append("")
        else:
            segments[-1] += text
    if len(segments) == 1:
        return segments[0]
    middle = "".join(f"(?>[^/]*?{segment})" for segment in segments[1:-1] if segment)
    whole = f"{segments[0]}{middle}[^/]*{segments[-1]}"
    return whole if segments[0] or middle or segments[-1] else "[^/]+"


def characters(component: str) -> Iterator[str | None]:
    """What a component is made of: the expression for one character after the other, None for a star."""
    position = 0
    while position < len(component):
        if component[position] == "*":
            yield None
            position += 1
            continue
        text, position = _one(component, position)
        yield text


def _one(component: str, position: int) -> tuple[str, int]:
    """The expression for what stands at `position`, and the position after it."""
    character = component[position]
    if character == "?":
        return "[^/]", position + 1
    if character == "[":
        return _class(component, position)
    if character == "\\":
        if position + 1 == len(component):
            raise ValueError("ends with a backslash that has nothing to escape")
        return re.escape(component[position + 1]), position + 2
    return re.escape(character), position + 1


def _class(component: str, position: int) -> tuple[str, int]:
    end = component.find("]", position + 2 if component[position + 1 : position + 2] != "!" else position + 3)
    if end < 0:
        raise ValueError('has a "[" without its "]" (write "\\[" for the character)')
    inside = component[position + 1 : end]
    negated = inside.startswith("!")
    body = re.sub(r"([\\\[\]^&~|])", r"\\\1", inside.removeprefix("!"))
    text = f"[^/{body}]" if negated else f"(?!/)[{body}]"
    try:
        if "--" in inside:
            raise re.error("a range without a start")
        re.compile(text)
    except re.error:
        raise ValueError(f'has "[{inside}]", which is not a range of characters') from None
    return text, end + 1


def literal(text: str) -> str:
    """The pattern that `text`, whatever is in it, and nothing else matches."""
    return "".join(map(_literal, text))


def _literal(character: str) -> str:
    if character == "*":
        return "[*]"  # two stars in a row would be another pattern, also where one is escaped
    return f"\\{character}" if character in _SPECIAL else character


def is_literal(pattern: str) -> bool:
    return _SPECIAL.isdisjoint(pattern)


def compile_globs(patterns: Iterable[str]) -> Matcher:
    """One test for all `patterns`: plain paths and whole trees without a regular expression."""
    exact: set[str] = set()
    trees: list[str] = []
    rest: list[str] = []
    for pattern in patterns:
        if is_literal(pattern):
            exact.add(pattern)
        elif pattern.endswith("/**") and is_literal(pattern[:-3]):
            exact.add(pattern[:-3])
            trees.append(pattern[:-2])
        else:
            rest.append(translate(pattern))
    prefixes = tuple(trees)
    if not rest:
        return lambda path: path.startswith(prefixes) or path in exact
    # Anchored once, outside: re tries the alternatives one after the other, each of them in linear time.
    matches = re.compile("|".join(f"(?:{text})" for text in rest), re.DOTALL).fullmatch
    return lambda path: path.startswith(prefixes) or path in exact or matches(path) is not None
