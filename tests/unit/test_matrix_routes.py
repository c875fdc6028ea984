"""scripts/matrix_routes.py: the table of routes comes from the tests that ran, and from nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import matrix_routes
import pytest

ROOT = Path(__file__).parents[2]


def case(outcome: str, *routes: str) -> str:
    properties = "".join(f'<property name="route" value="{each}"/>' for each in routes)
    return f"<testcase><properties>{properties}</properties>{outcome}</testcase>"


def leave(results: Path, row: str, release: str, tier: str, *cases: str) -> None:
    folder = results / row
    folder.mkdir(parents=True)
    (folder / "report.xml").write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    (folder / "doctor.json").write_text(json.dumps({"kernel": {"release": release}, "tier": tier}))


def test_the_worst_of_a_route_counts(tmp_path: Path) -> None:
    leave(
        *(tmp_path, "6.1-A-core", "6.1.0-56-amd64", "A"),
        case("", "name: rename: seen", "io_uring: open: seen"),
        case("", "name: rename: seen, caller's words"),
        case("<failure/>", "io_uring: open: seen"),
        case("<skipped/>", "x32: open: not seen", "name: rename: not seen"),
    )
    leave(tmp_path, "host-best-core", "6.18.44", "B", case("", "name: rename: seen"))
    leave(tmp_path, "6.1-B-headers", "6.1.0-56-amd64", "B", case("", "io_uring: open: seen"))
    leave(tmp_path, "6.1-B-bcc", "6.1.0-56-amd64", "A", case("", "x32: open: seen"))
    names = {"x32: open", "io_uring: open", "name: rename"}
    assert list(matrix_routes.table(matrix_routes.columns(tmp_path), names)) == [
        "| route | 6.18 B | 6.1 A | 6.1 B bcc | 6.1 B headers |",
        "|---|---|---|---|---|",
        "| io_uring: open | not run | test failed | not run | seen |",
        "| name: rename | seen | seen, caller's words | not run | not run |",
        "| x32: open | not run | no such call here | seen | not run |",
    ]


def test_a_row_without_a_report_is_no_column(tmp_path: Path) -> None:
    (tmp_path / "6.1-A-core").mkdir()
    assert matrix_routes.columns(tmp_path) == {}


def test_only_the_table_is_written_anew(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"above\n{matrix_routes.BEGIN}\nold\n{matrix_routes.END}\nbelow\n")
    matrix_routes.write(readme, ["| new |"])
    assert readme.read_text() == f"above\n{matrix_routes.BEGIN}\n| new |\n{matrix_routes.END}\nbelow\n"
    readme.write_text("no place")
    with pytest.raises(ValueError, match="no place for the table"):
        matrix_routes.write(readme, [])


def test_what_was_not_run_again_stays(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"above\n{matrix_routes.BEGIN}\n{matrix_routes.END}\nbelow\n")
    names = {"name: link", "name: rename"}
    first = {"6.1 A": dict.fromkeys(names, "seen"), "6.12 B bcc": dict.fromkeys(names, "test failed")}
    matrix_routes.write(readme, list(matrix_routes.table(first, names)))
    old = matrix_routes.written(readme)
    assert old == first
    assert list(
        matrix_routes.table(matrix_routes.renewed(old, {"6.12 B bcc": {"name: link": "seen"}}), names)
    ) == [
        "| route | 6.12 B bcc | 6.1 A |",
        "|---|---|---|",
        "| name: link | seen | seen |",
        "| name: rename | test failed | seen |",
    ]


def test_the_readme_has_every_route_that_tests_prove() -> None:
    marked = matrix_routes.marked(ROOT / "tests/kernel")
    _before, _begin, rest = (ROOT / "probes/README.md").read_text().partition(matrix_routes.BEGIN)
    rows = rest.partition(matrix_routes.END)[0].splitlines()[3:]
    assert {each.split("|")[1].strip() for each in rows if each} == marked
