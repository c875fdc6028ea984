"""No program of the probes grows unseen: probes/README.md says how large each is, and is held to it."""

from __future__ import annotations

import re
from pathlib import Path

import bench_instructions
import pytest

from tests.unit.capture.compiled import instructions
from tracer.capture.core import OBJECT

README = Path(__file__).parents[3] / "probes/README.md"
ROW = re.compile(r"\| (?P<programs>`.*`) \| (?P<size>\d+) \|")
MAY_GROW = 1.05


@pytest.fixture(scope="module")
def table() -> str:
    found = README.read_text().partition(bench_instructions.BEGIN)[2].partition(bench_instructions.END)[0]
    by = re.search(r"by clang (\d+)", found)
    assert by, "the table says which compiler made it"
    if by[1] != bench_instructions.compiler():
        pytest.skip(f"clang {bench_instructions.compiler()} here, and the table is by clang {by[1]}")
    return found


def test_no_program_is_much_larger_than_the_readme_says(table: str) -> None:
    said = {
        name: int(row["size"])
        for row in ROW.finditer(table)
        for name in re.findall(r"`(\w+)`", row["programs"])
    }
    found = instructions(OBJECT)
    assert said.keys() == found.keys(), "scripts/bench instructions --write"
    grown = {name: (said[name], size) for name, size in found.items() if size > MAY_GROW * said[name]}
    assert grown == {}, "scripts/bench instructions --write, if it has to be so"


def test_what_a_program_calls_counts() -> None:
    found = instructions(OBJECT)
    assert found["on_sys_exit"] > found["on_sys_enter"] > found["introduce"] > 0
    assert found["sweep"] > 100, "most of it is in its callbacks"
