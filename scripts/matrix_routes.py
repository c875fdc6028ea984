"""The table of routes in probes/README.md: what tests found of each way to act; see scripts/matrix.

A test of the kernel tier that is marked `route` leaves in its report what its records say of that route. A
route that several tests prove, or one in several ways, is as good as the worst of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree as ET

BEGIN, END = "<!-- routes: written by scripts/matrix --write -->", "<!-- routes: end -->"
# From bad to good. A test that is skipped says nothing, if another of that route ran.
FAILED, NOT_SEEN, BY_WORDS, SEEN = "test failed", "not seen", "seen, caller's words", "seen"
NO_SUCH_CALL, NOT_RUN = "no such call here", "not run"
_MARK = re.compile(r'mark\.route\(\s*"([^"]+)"')
LOADERS = ("core", "bcc", "headers")
ORDER = (FAILED, NOT_SEEN, BY_WORDS, SEEN, NO_SUCH_CALL)


def columns(results: Path) -> dict[str, dict[str, str]]:
    """What was found of each route, by kernel, tier and loader ("6.1 B bcc"); the newest kernel first."""
    found = {}
    for folder in results.iterdir() if results.is_dir() else ():
        with suppress(OSError, ValueError, KeyError, ET.ParseError):
            report = ET.parse(folder / "report.xml")
            doctor = json.loads((folder / "doctor.json").read_text())
            _version, tier, loader = folder.name.split("-")
            major, minor, *_ = map(int, doctor["kernel"]["release"].split(".")[:2])
            tier = doctor["tier"] if tier == "best" else tier
            found[-major, -minor, tier, LOADERS.index(loader)] = routes(report)
    return {
        f"{-major}.{-minor} {tier} {LOADERS[loader]}".removesuffix(f" {LOADERS[0]}"): column
        for (major, minor, tier, loader), column in sorted(found.items())
    }


def routes(report: ET.ElementTree[ET.Element]) -> dict[str, str]:
    """What one report says of each route."""
    found: dict[str, str] = {}
    for case in report.iter("testcase"):
        for name, words in marks(case):
            found[name] = min(found.get(name, NO_SUCH_CALL), words, key=ORDER.index)
    return found


def marks(case: ET.Element) -> Iterator[tuple[str, str]]:
    outcomes = {each.tag for each in case}
    for each in case.iter("property"):
        if each.get("name") == "route":
            name, _colon, words = each.get("value", "").rpartition(": ")
            if outcomes & {"failure", "error"}:
                words = FAILED
            yield name, NO_SUCH_CALL if "skipped" in outcomes else words


def marked(tests: Path) -> set[str]:
    """The routes that tests are marked with now; an older report may know others."""
    return {name for test in tests.glob("test_*.py") for name in _MARK.findall(test.read_text())}


def table(found: Mapping[str, Mapping[str, str]], names: Iterable[str]) -> Iterator[str]:
    """In Markdown; a route a line, in the order of the alphabet."""
    yield f"| route | {' | '.join(found)} |"
    yield "|---" * (len(found) + 1) + "|"
    for route in sorted(names):
        yield f"| {route} | {' | '.join(column.get(route, NOT_RUN) for column in found.values())} |"


def write(readme: Path, lines: Sequence[str]) -> None:
    """Put the table between the two marks."""
    before, _begin, rest = readme.read_text().partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{readme} has no place for the table: {BEGIN} ... {END}")
    readme.write_text("\n".join((before + BEGIN, *lines, end + after)))
