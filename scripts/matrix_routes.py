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

from readme_table import write_between

BEGIN, END = "<!-- routes: written by scripts/matrix --write -->", "<!-- routes: end -->"
# From bad to good. A test that is skipped says nothing, if another of that route ran.
FAILED, NOT_SEEN, BY_WORDS, SEEN = "test failed", "not seen", "seen, caller's words", "seen"
NO_SUCH_CALL, NOT_RUN = "no such call here", "not run"
Columns = Mapping[str, Mapping[str, str]]
_MARK = re.compile(r'mark\.route\(\s*"([^"]+)"')
LOADERS = ("core", "bcc", "headers")
ORDER = (FAILED, NOT_SEEN, BY_WORDS, SEEN, NO_SUCH_CALL)


def columns(results: Path) -> dict[str, dict[str, str]]:
    """What was found of each route, by kernel, tier and loader ("6.1 B bcc")."""
    found = {}
    for folder in results.iterdir() if results.is_dir() else ():
        with suppress(OSError, ValueError, KeyError, ET.ParseError):
            report = ET.parse(folder / "report.xml")
            doctor = json.loads((folder / "doctor.json").read_text())
            _version, tier, loader = folder.name.split("-")
            kernel = ".".join(doctor["kernel"]["release"].split(".")[:2])
            tier = doctor["tier"] if tier == "best" else tier
            found[f"{kernel} {tier} {loader}".removesuffix(f" {LOADERS[0]}")] = routes(report)
    return found


def place(column: str) -> tuple[int, int, str, int]:
    """The newest kernel first."""
    kernel, tier, *loader = column.split()
    major, minor = map(int, kernel.split("."))
    return -major, -minor, tier, LOADERS.index(*loader or LOADERS[:1])


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


def table(found: Columns, names: Iterable[str]) -> Iterator[str]:
    """In Markdown; a route a line, in the order of the alphabet."""
    heads = sorted(found, key=place)
    yield f"| route | {' | '.join(heads)} |"
    yield "|---" * (len(heads) + 1) + "|"
    for route in sorted(names):
        yield f"| {route} | {' | '.join(found[each].get(route, NOT_RUN) for each in heads)} |"


def renewed(old: Columns, new: Columns) -> dict[str, dict[str, str]]:
    """What the new reports say nothing of stays."""
    return {each: {**old.get(each, {}), **new.get(each, {})} for each in (*old, *new)}


def written(readme: Path) -> dict[str, dict[str, str]]:
    """The columns of the table that is there."""
    lines = readme.read_text().partition(BEGIN)[2].partition(END)[0].splitlines()
    head, *rows = ([each.strip() for each in line.strip("|").split("|")] for line in lines if "| " in line)
    return {column: {row[0]: row[number] for row in rows} for number, column in enumerate(head[1:], start=1)}


def write(readme: Path, lines: Sequence[str]) -> None:
    write_between(readme, BEGIN, END, lines)
