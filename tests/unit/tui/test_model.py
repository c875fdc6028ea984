from __future__ import annotations

from itertools import count

import pytest

from tests.tui import scene
from tracer.events import Action, Event, Level, Response, Result, Taken
from tracer.where import Where
from tui.details import of_violation
from tui.feed import Batch
from tui.logs import EventLog
from tui.model import Model, Rate
from tui.snapshot import Losses, State, Verdict

WHO = scene.process(100, None, "agent")


def make(**limits: int) -> Model:
    return Model(now_ns=lambda: scene.NOW_NS, clock=lambda: 0.0, **limits)


def some_events(number: int) -> list[Event]:
    story = scene.Story()
    return [story.event(WHO, Action.FILE_UNLINK) for _ in range(number)]


def test_a_new_model_knows_nothing() -> None:
    snapshot = make().snapshot()
    assert snapshot.summary.state is State.OPENING
    assert snapshot.summary.verdict is Verdict.CLEAN
    assert (snapshot.events, snapshot.processes, snapshot.violations) == ((), (), ())


def test_the_story_is_aggregated() -> None:
    story = scene.rome()
    summary = scene.model_of(story).snapshot().summary
    assert summary.events == len(story.events)
    assert summary.processes == 8
    assert summary.duration_ns == scene.NOW_NS - scene.START_NS
    assert sum(summary.violations.values()) == len(story.violations)
    assert list(summary.violations) == sorted(summary.violations, key=lambda level: -level.rank)


@pytest.mark.parametrize(
    ("violated", "losses", "state", "verdict"),
    [
        (False, Losses(), State.LIVE, Verdict.CLEAN),
        (False, Losses(1, 0), State.LIVE, Verdict.INCOMPLETE),
        (False, Losses(0, 1), State.FINISHED, Verdict.INCOMPLETE),
        (False, Losses(), State.CUT, Verdict.INCOMPLETE),
        (False, Losses(), State.DAMAGED, Verdict.INCOMPLETE),
        (True, Losses(1, 1), State.CUT, Verdict.VIOLATED),
    ],
)
def test_verdict(violated: bool, losses: Losses, state: State, verdict: Verdict) -> None:
    story = scene.rome()
    if not violated:
        story.violations.clear()
    assert scene.model_of(story, losses=losses, state=state).snapshot().summary.verdict is verdict


def test_what_was_not_judged_or_not_read_leaves_the_verdict_open() -> None:
    story = scene.rome()
    story.violations.clear()
    model = scene.model_of(story, state=State.FINISHED)
    model.add(Batch(missing=0))
    assert model.snapshot().summary.verdict is Verdict.CLEAN
    model.add(Batch(missing=1))
    model.add(Batch())
    assert model.snapshot().summary.verdict is Verdict.INCOMPLETE


def test_a_finished_session_lasted_until_its_last_event() -> None:
    story = scene.rome()
    summary = scene.model_of(story, state=State.FINISHED).snapshot().summary
    assert summary.duration_ns == story.events[-1].time_ns - scene.START_NS
    assert summary.events_per_s == round(len(story.events) * 1e9 / summary.duration_ns)


def test_only_the_newest_events_are_kept() -> None:
    model, events = make(max_events=10), some_events(25)
    model.add(Batch(events=events))
    assert model.snapshot().events == tuple(events[-10:])
    assert model.snapshot().summary.events == 25


def test_large_arguments_push_out_more_events() -> None:
    story = scene.Story()

    def ran(args_bytes: int) -> Event:
        return story.event(WHO, Action.EXEC, scene.exec_of(WHO, args=("x" * args_bytes,)))

    events = [ran(1000) for _ in range(9)]
    log = EventLog(100, max_args_bytes=3000)
    log.set_filter(Where("exec"))
    for event in events:
        log.add(event)
    assert log.events() == tuple(events[-3:])
    log.set_filter(Where())
    assert log.events() == tuple(events[-3:])
    log.add(story.event(WHO, Action.FORK))
    assert len(log.events()) == 4
    log.add(ran(9000))
    assert len(log.events()) == 1


def test_equal_violations_are_one_group() -> None:
    groups = scene.model_of(scene.rome()).snapshot().violations
    probes = next(group for group in groups if group.count > 1)
    assert probes.count == 11
    assert probes.first_ns < probes.last_ns == probes.violation.event.time_ns


def test_the_group_that_grew_is_the_newest() -> None:
    story, model = scene.Story(), make()
    first, second, again = (story.event(WHO, Action.FORK) for _ in range(3))
    for event, words in ((first, "a"), (second, "b"), (again, "a")):
        model.add(Batch(violations=[story.violate(scene.LOW, event, words)]))
    assert [group.violation.summary for group in model.snapshot().violations] == ["a", "b"]


def test_groups_are_bounded_and_their_violations_still_counted() -> None:
    story, model = scene.Story(), make(max_groups=5)
    event = story.event(WHO, Action.FORK)
    model.add(Batch(violations=[story.violate(scene.LOW, event, str(number)) for number in range(9)]))
    snapshot = model.snapshot()
    assert [group.violation.summary for group in snapshot.violations] == ["8", "7", "6", "5", "4"]
    assert snapshot.summary.violations == {Level.LOW: 9}


def test_events_are_flagged_with_their_worst_level() -> None:
    story, model = scene.Story(), make()
    event = story.event(WHO, Action.FORK)
    for rule in (scene.LOW, scene.POOL, scene.INFO):
        model.add(Batch(violations=[story.violate(rule, event, rule.id)]))
    assert model.snapshot().levels == {event.sequence: Level.HIGH}


def test_flags_are_bounded() -> None:
    story, model = scene.Story(), make(max_events=3)
    for _ in range(9):
        model.add(Batch(violations=[story.violate(scene.LOW, story.event(WHO, Action.FORK), "")]))
    assert list(model.snapshot().levels) == [7, 8, 9]


def test_filter_holds_for_what_is_there_and_for_what_comes() -> None:
    story = scene.rome()
    model = scene.model_of(story)
    model.set_filter(Where("kworker"))
    before = len(model.snapshot().events)
    assert 0 < before < len(story.events)
    model.add(Batch(events=[story.event(WHO, Action.FORK), story.write(WHO, "/x/kworker", 1)]))
    assert len(model.snapshot().events) == before + 1
    assert model.snapshot().filter == "kworker"
    model.set_filter(Where())
    assert len(model.snapshot().events) == model.snapshot().summary.events


def test_parts_that_did_not_change_are_the_same_objects() -> None:
    model = scene.model_of(scene.rome())
    before, after = model.snapshot(), model.snapshot()
    assert before.events is after.events
    assert before.violations is after.violations
    assert before.processes is after.processes
    assert before.levels is after.levels
    assert before.summary == after.summary


def test_a_snapshot_does_not_change_afterwards() -> None:
    model = scene.model_of(scene.rome())
    snapshot = model.snapshot()
    size = len(snapshot.events), len(snapshot.levels), snapshot.summary.events
    model.add(Batch(events=some_events(3)))
    assert (len(snapshot.events), len(snapshot.levels), snapshot.summary.events) == size


def test_the_newest_notice_is_shown() -> None:
    model = make()
    model.add(Batch(notices=("first", "second")))
    model.add(Batch())
    assert model.snapshot().summary.notice == "second"


def test_rate_is_over_the_last_two_seconds() -> None:
    ticks = count()
    rate = Rate(lambda: next(ticks) / 10)
    for tick in range(1, 51):
        measured = rate.measure(tick * 100)
    assert measured == 1_000
    for _ in range(30):
        measured = rate.measure(5_000)
    assert measured == 0


@pytest.mark.parametrize("early", [False, True])
def test_what_was_done_is_shown_with_its_violation(early: bool) -> None:
    """Whichever of the two is told first."""
    story = scene.rome()
    violation = story.violations[-1]
    taken = Taken(
        scene.NOW_NS,
        Response.KILL,
        Result.DONE,
        "killed ssh[7]",
        4_000_000,
        event=violation.event.sequence,
        rule=violation.rule,
    )
    model = make()
    batches = [Batch(events=story.events, violations=story.violations), Batch(taken=[taken])]
    for batch in reversed(batches) if early else batches:
        model.add(batch)
    acted = [group for group in model.snapshot().violations if group.taken]
    assert [group.taken for group in acted] == [taken]
    (section,) = [each for each in of_violation(acted[0]).sections if each.title == "Action"]
    assert [field.value for field in section.fields] == ["killed", "killed ssh[7]", "4.0 ms after the act"]
