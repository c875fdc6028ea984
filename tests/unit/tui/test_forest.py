from __future__ import annotations

from tests.tui import scene
from tracer.events import Action, Exit, Level, Process
from tui.forest import Forest
from tui.snapshot import Counts, ProcessRow

ROOT = scene.process(100, None, "agent")


def child(pid: int, parent: Process = ROOT) -> Process:
    return scene.process(pid, parent, f"child{pid}")


def run(forest: Forest, story: scene.Story, who: Process, *, ends: bool = True) -> None:
    forest.add_event(story.event(who, Action.FORK))
    if ends:
        forest.add_event(story.end(who))


def pids(rows: tuple[ProcessRow, ...]) -> list[int]:
    return [row.process.pid for row in rows]


def test_rows_come_in_drawing_order_with_guides() -> None:
    forest, story = Forest(), scene.Story()
    first, second = child(101), child(102)
    for who in (ROOT, first, second, child(103, first), child(104, first)):
        run(forest, story, who, ends=False)
    assert [(row.process.pid, row.guides) for row in forest.rows()] == [
        (100, ""),
        (101, "├"),
        (103, "│├"),
        (104, "│└"),
        (102, "└"),
    ]


def test_a_process_whose_parent_is_not_watched_is_a_root() -> None:
    forest = Forest()
    run(forest, scene.Story(), child(101), ends=False)
    assert forest.rows()[0].guides == ""


def test_events_are_counted_by_family() -> None:
    forest, story = Forest(), scene.Story()
    forest.add_event(story.event(ROOT, Action.EXEC, scene.exec_of(ROOT)))
    forest.add_event(story.event(ROOT, Action.CONNECT, scene.tcp("1.1.1.1", 1), error=111))
    forest.add_event(story.event(ROOT, Action.FILE_UNLINK))
    assert forest.rows()[0].counts == Counts(execs=1, connects=1, files=1, failures=1)


def test_the_newest_image_is_shown() -> None:
    forest, story = Forest(), scene.Story()
    image = scene.process(100, None, "sshd")
    forest.add_event(story.event(ROOT, Action.FORK))
    forest.add_event(story.event(image, Action.EXEC, scene.exec_of(image)))
    assert [row.process for row in forest.rows()] == [image]


def test_exit_is_kept() -> None:
    forest, story = Forest(), scene.Story()
    ended = story.end(ROOT, signal=9)
    forest.add_event(ended)
    assert forest.rows()[0].exit == ended.detail
    assert isinstance(ended.detail, Exit)
    assert forest.rows()[0].exited_ns == ended.time_ns


def test_violations_count_up_to_the_root_and_the_worst_level_wins() -> None:
    forest, story = Forest(), scene.Story()
    low, high = child(101), child(102)
    for who in (ROOT, low, high):
        run(forest, story, who, ends=False)
    forest.add_violation(story.violate(scene.POOL, story.event(high, Action.FORK), ""))
    forest.add_violation(story.violate(scene.LOW, story.event(low, Action.FORK), ""))
    root, first, second = forest.rows()
    assert (root.level, root.violations, root.own_violations) == (Level.HIGH, 2, 0)
    assert (first.level, first.own_violations) == (Level.LOW, 1)
    assert (second.level, second.own_violations) == (Level.HIGH, 1)


def test_exited_processes_fold_away_oldest_first_and_are_counted() -> None:
    forest, story = Forest(max_exited=3), scene.Story()
    run(forest, story, ROOT, ends=False)
    for pid in range(101, 108):
        run(forest, story, child(pid))
    assert pids(forest.rows()) == [100, 105, 106, 107]
    assert forest.folded == forest.rows()[0].folded == 4
    assert forest.seen == 8


def test_those_that_broke_a_rule_fold_last() -> None:
    forest, story = Forest(max_exited=2), scene.Story()
    run(forest, story, ROOT, ends=False)
    bad = child(101)
    forest.add_event(story.event(bad, Action.FORK))
    forest.add_violation(story.violate(scene.LOW, story.event(bad, Action.FORK), ""))
    forest.add_event(story.end(bad))
    for pid in (102, 103, 104):
        run(forest, story, child(pid))
    assert pids(forest.rows()) == [100, 101, 104]


def test_late_events_do_not_bring_a_folded_process_back() -> None:
    forest, story = Forest(max_exited=1), scene.Story()
    for who in (ROOT, child(101), child(102)):
        run(forest, story, who, ends=who is not ROOT)
    forest.add_event(story.event(child(101), Action.FILE_CLOSE))
    assert pids(forest.rows()) == [100, 102]
    forest.add_violation(story.violate(scene.LOW, story.event(child(101), Action.FILE_CLOSE), ""))
    assert forest.rows()[0].violations == 1
    assert forest.rows()[0].own_violations == 0


def test_too_many_running_processes_are_not_taken_in() -> None:
    forest, story = Forest(max_processes=3), scene.Story()
    run(forest, story, ROOT, ends=False)
    for pid in range(101, 120):
        run(forest, story, child(pid), ends=False)
    assert pids(forest.rows()) == [100, 101, 102]
    assert (forest.seen, forest.folded) == (20, 17)


def test_rows_are_the_same_object_until_something_changes() -> None:
    forest, story = Forest(), scene.Story()
    run(forest, story, ROOT, ends=False)
    rows = forest.rows()
    assert forest.rows() is rows
    forest.add_event(story.end(ROOT))
    assert forest.rows() is not rows


def test_what_is_known_of_processes_that_are_not_shown_is_bounded() -> None:
    forest, story = Forest(max_exited=1, max_processes=5), scene.Story()
    for pid in range(101, 141):
        run(forest, story, child(pid))
    assert len(forest._absent) == 5
    assert forest.folded == 39
