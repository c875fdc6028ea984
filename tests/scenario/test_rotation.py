"""Long runs: a trace in many files, read as one, by every command and however it ended."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from .driver import Rubicon, until

PROGRAMS = 400
WORK = f"i=0; while [ $i -lt {PROGRAMS} ]; do /bin/true; echo $i >out; i=$((i + 1)); done; echo >bad"


def parts(rubicon: Rubicon) -> list[Path]:
    found = rubicon.folder.glob(f"{rubicon.trace.name}.*")
    numbered = [path for path in found if path.suffix[1:].isdigit()]
    return [rubicon.trace, *sorted(numbered, key=lambda path: int(path.suffix[1:]))]


def rotating(rubicon: Rubicon, *options: str, size: str = "4K") -> list[str | Path]:
    policy = rubicon.policy(f"files: {{write: ['{rubicon.work}/out']}}\n")
    return ["run", "--policy", policy, "--trace", rubicon.trace, "--rotate-size", size, *options, "--"]


def test_a_trace_in_many_files_is_one(rubicon: Rubicon) -> None:
    done = rubicon.do(*rotating(rubicon), "sh", "-c", WORK)
    assert done.returncode == 0, done.stderr
    assert len(parts(rubicon)) > 3
    assert all(path.stat().st_size >= 4_096 for path in parts(rubicon)[:-1])
    assert {path.stat().st_mode & 0o777 for path in parts(rubicon)} == {0o600}
    assert rubicon.verify() == (0, "intact")
    *documents, summary = rubicon.export()
    actions = summary["rubicon"]["summary"]["actions"]
    assert (actions["exec"], actions["exit"]) == (PROGRAMS + 1, PROGRAMS + 1)
    assert summary["rubicon"]["summary"]["verdict"] == "violated"
    (alert,) = [each for each in documents if each["event"]["kind"] == "alert"]
    assert alert["file"]["path"] == f"{rubicon.work}/bad"
    numbers = [each["event"]["sequence"] for each in documents if each["event"]["kind"] == "event"]
    assert numbers == list(range(1, len(numbers) + 1))
    assert {each["user"]["name"] for each in documents if "user" in each} == {"root"}
    page = rubicon.do("report", rubicon.trace)
    assert (page.returncode, "intact" in page.stdout) == (0, True)
    listed = [json.loads(line) for line in rubicon.do("replay", rubicon.trace, "--jsonl").stdout.splitlines()]
    assert listed == [], "without the policy nothing is broken"


def test_the_oldest_files_are_removed(rubicon: Rubicon) -> None:
    """What is left is sound, and has the numbers, users and violations it had in the whole."""
    done = rubicon.do(*rotating(rubicon, "--rotate-keep", "2", size="12K"), "sh", "-c", WORK)
    assert done.returncode == 0, done.stderr
    assert len(parts(rubicon)) == 2
    found = json.loads(rubicon.do("verify", "--json", rubicon.trace).stdout)
    assert (found["state"], found["first_block"] > 0) == ("intact", True)
    *documents, _summary = rubicon.export()
    numbers = [each["event"]["sequence"] for each in documents if each["event"]["kind"] == "event"]
    assert numbers[0] > 1
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert [each["event"]["kind"] for each in documents].count("alert") == 1
    assert Counter(each["user"]["name"] for each in documents if "user" in each).keys() == {"root"}


@pytest.mark.timeout(120)
def test_an_engine_that_is_killed_leaves_all_parts_readable(rubicon: Rubicon) -> None:
    started = rubicon.start(*rotating(rubicon), "sh", "-c", f"{WORK}; exec sleep 1000")
    until(lambda: (rubicon.work / "bad").exists() and len(parts(rubicon)) > 3, "some parts")
    until(lambda: "bad" in started.err, "the violation to be told")
    rubicon.adopt(started)
    os.kill(started.pid, signal.SIGKILL)
    started.process.wait()
    assert rubicon.verify() == (2, "cut")
    *documents, summary = rubicon.export()
    assert "no end record" in summary["rubicon"]["summary"]["damage"]
    assert [each["event"]["kind"] for each in documents].count("alert") == 1
    last = parts(rubicon)[-1]
    os.truncate(last, last.stat().st_size - 7)
    assert rubicon.verify() == (2, "torn")
    parts(rubicon)[1].unlink()
    assert rubicon.verify()[0] == 2
    assert rubicon.export()[-1]["rubicon"]["summary"]["verdict"] != "clean"


@pytest.mark.parametrize(
    "wrong",
    [("--rotate-size", "0"), ("--rotate-size", "4X"), ("--rotate-age", "soon"), ("--rotate-keep", "x")],
)
def test_what_is_no_size_or_age(rubicon: Rubicon, wrong: tuple[str, str]) -> None:
    done = rubicon.do("run", *wrong, "--", "true")
    assert (done.returncode, wrong[0] in done.stderr) == (2, True)
    assert not rubicon.traces.exists()
