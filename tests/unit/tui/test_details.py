from __future__ import annotations

from tests.tui import scene
from tracer.events import Action, File, Level
from tui import details
from tui.details import Document

STORY = scene.rome()
SNAPSHOT = scene.model_of(STORY).snapshot()


def value(document: Document, section: str, label: str) -> str:
    fields = next(each.fields for each in document.sections if each.title == section)
    return next((field.value for field in fields if field.label == label), "")


def test_a_violation_says_what_why_and_who() -> None:
    group = next(each for each in SNAPSHOT.violations if each.violation.rule is scene.TUNNEL)
    document = details.of_violation(group)
    assert document.lead == group.violation.summary
    assert document.level is Level.CRITICAL
    assert value(document, "Rule", "attack") == "T1572"
    assert value(document, "Matched", "process.args") == "-R 2222:localhost:22"
    assert [f.label for s in document.sections if s.title == "Lineage" for f in s.fields] == [
        "4302", "4301", "4242", "4100", "1",
    ]  # fmt: skip


def test_a_group_says_how_often() -> None:
    group = next(each for each in SNAPSHOT.violations if each.count > 1)
    assert value(details.of_violation(group), "Rule", "times").startswith("11, first 12:00:")


def test_a_failed_event_names_its_errno() -> None:
    event = next(each for each in STORY.events if each.error)
    assert value(details.of_event(event, None), "Event", "outcome") == "failure EACCES"


def test_what_there_is_nothing_to_say_about_is_left_out() -> None:
    event = scene.Story().event(STORY.events[0].process, Action.FILE_UNLINK, File("/a"))
    document = details.of_event(event, None)
    assert value(document, "Detail", "path") == "/a"
    labels = [
        field.label for section in document.sections if section.title == "Detail" for field in section.fields
    ]
    assert labels == ["path"]


def test_a_process_lists_its_violations_and_children() -> None:
    root = SNAPSHOT.processes[0]
    document = details.of_process(root, SNAPSHOT)
    assert value(document, "State", "state") == "running"
    assert value(document, "Children", "4377") == "kworker -o stratum+tcp://pool.example:3333 --threads 64"
    violations = next(section.fields for section in document.sections if section.title == "Violations")
    assert len(violations) == 2


def test_an_exited_process_says_how() -> None:
    row = next(each for each in SNAPSHOT.processes if each.exit and each.exit.signal)
    state = value(details.of_process(row, SNAPSHOT), "State", "state")
    assert state.startswith("killed by SIGKILL at 12:00:")


def test_the_session_is_told_when_nothing_is_selected() -> None:
    document = details.of_session(SNAPSHOT.summary)
    assert value(document, "Session", "command") == "python3 agent.py --task fix-issue-4711"
    assert value(document, "Session", "lost") == "nothing"
