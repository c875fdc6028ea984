"""Every rule that comes with Rubicon, with real programs under real probes: what sets it off, and what not.

All programs run one after the other in one session, each in a folder of its own, by which the alerts are told
apart: first the near misses of all rules, then the triggers. The tables are beside this file, one a family.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from tests.scenario.driver import MAIN, PYTHON, Document, Rubicon
from tests.scenario.pack import (
    credentials,
    destruction,
    escape,
    evasion,
    exfiltration,
    mining,
    persistence,
    probing,
    shells,
    tunnels,
)
from tests.scenario.pack.case import Case
from tracer.rules.load import PACKS

HERE = Path(__file__).parent
TABLES = (
    tunnels, mining, exfiltration, credentials, persistence, escape, evasion, shells, destruction, probing,
)  # fmt: skip
CASES: Mapping[str, Case] = {rule: case for table in TABLES for rule, case in table.CASES.items()}
# Of what was there before the watch, in test_found.py; and of modules, which this kernel may not have, in
# tests/kernel/test_boundary.py and tests/unit/rules/test_rules_boundary.py. What takes a minute has
# test_mining.py.
ELSEWHERE = {"tunnels/ssh_open_elsewhere", "escape/kernel_code_loaded", "mining/busy_after_contact"}
RULES = sorted(str(path.relative_to(PACKS).with_suffix("")) for path in PACKS.rglob("*.yml"))
SECONDS_MAX = 400

pytestmark = pytest.mark.timeout(SECONDS_MAX + 30)


def test_every_rule_has_a_trigger_and_a_near_miss() -> None:
    assert set(CASES) | ELSEWHERE == set(RULES)
    assert all(case.triggers and case.near for case in CASES.values())


def rule_id(rule: str) -> str:
    """Of the first document of a file: what follows it are parts of a correlation."""
    first = next(yaml.safe_load_all((PACKS / f"{rule}.yml").read_text()))
    return str(first["id"])


Told = Mapping[Path, set[str]]
"""The ids of the rules that the program in a folder broke."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    rubicon = Rubicon(tmp_path_factory.mktemp("pack").resolve())
    rubicon.work.mkdir()
    write_programs(rubicon.work)
    run_all(rubicon)
    found: defaultdict[Path, set[str]] = defaultdict(set)
    *documents, summary = rubicon.export()
    assert summary["rubicon"]["summary"]["losses"] == {"critical": 0, "bulk": 0}
    assert "unjudged" not in summary["rubicon"]["summary"]
    for each in documents:
        if each["event"]["kind"] == "alert":
            found[folder_of(each["process"], rubicon.work)].add(each["rule"]["id"])
    yield found
    rubicon.close()


def folder_of(process: Document, work: Path) -> Path:
    """Of a case: its program may have gone further down, or away, and then its parent tells."""
    inside = process["working_directory"].startswith(f"{work}/")
    directory = process["working_directory"] if inside else process["parent"]["working_directory"]
    return Path(*os.path.relpath(directory, work).split("/")[:4])


def write_programs(work: Path) -> None:
    prelude = (HERE / "prelude.py").read_text()
    folders = []
    for kind in ("near", "triggers"):
        for rule, case in CASES.items():
            for number, text in enumerate(getattr(case, kind)):
                folder = work / rule / kind / str(number)
                folder.mkdir(parents=True)
                (folder / "case.py").write_text(f"{prelude}\n{case.prelude}\n{text}\n")
                folders.append(str(folder))
    (work / "programs.json").write_text(json.dumps(folders))


def run_all(rubicon: Rubicon) -> None:
    """In namespaces of its own, with a sink that serves until its standard input is closed."""
    world, ready = rubicon.folder / "world", rubicon.folder / "ready"
    world.mkdir()
    os.mkfifo(ready)
    watched = [PYTHON, "-IS", HERE / "driver.py", PYTHON, rubicon.work]
    command = [
        *("unshare", "--mount", "--net", "--propagation", "private", "sh", HERE / "world.sh", world),
        *(*MAIN, "run", "--trace", rubicon.trace, "--", *watched),
    ]
    environment = rubicon.environment | {"PYTHON": PYTHON, "READY": str(ready)}
    open_end, held_end = os.pipe()
    try:
        done = subprocess.run(
            command, env=environment, cwd=rubicon.work, stdin=open_end, capture_output=True, text=True,
            check=False, timeout=SECONDS_MAX,
        )  # fmt: skip
    finally:
        os.close(open_end)
        os.close(held_end)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(
    ("rule", "number"),
    [(rule, number) for rule, case in CASES.items() for number in range(len(case.triggers))],
)
def test_trigger(rule: str, number: int, told: Told) -> None:
    assert rule_id(rule) in told.get(Path(rule, "triggers", str(number)), set())


@pytest.mark.parametrize(
    ("rule", "number"), [(rule, number) for rule, case in CASES.items() for number in range(len(case.near))]
)
def test_near_miss(rule: str, number: int, told: Told) -> None:
    assert rule_id(rule) not in told.get(Path(rule, "near", str(number)), set())
