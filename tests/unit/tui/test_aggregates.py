"""What the screens show beside events: peers, files, time, rates, and what is around a violation."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tui import scene
from tracer.events import Action, File, Flow, Level, NetworkType, Outcome, Spoken
from tui import describe
from tui.around import KEPT, Around
from tui.known import KnownPeers, before
from tui.minutes import Minutes
from tui.rates import Pulses, family_of
from tui.snapshot import Family, Peer
from tui.traffic import Traffic, known_as
from tui.widgets.header import sparkline
from tui.widgets.peers import SORTS, ordered
from tui.widgets.process_tree import without_ended
from tui.written import Written

STORY = scene.rome()
WHO = scene.process(100, None, "agent")


def traffic() -> Traffic:
    made = Traffic()
    for event in STORY.events:
        made.add(event)
    for violation in STORY.violations:
        made.add_violation(violation)
    return made


def test_every_end_is_one_peer_the_worst_first() -> None:
    peers = traffic().peers()
    assert len(peers) == 15
    assert sum(each.connects for each in peers) == sum(e.action is Action.CONNECT for e in STORY.events)
    assert sum(each.failed for each in peers) == 11
    levels = [each.level.rank if each.level else -1 for each in peers]
    assert levels == sorted(levels, reverse=True)


def test_bytes_and_protocol_come_with_later_events() -> None:
    story, made = scene.Story(), Traffic()
    network = scene.tcp("198.51.100.9", 443, "example.org")
    made.add(story.event(WHO, Action.CONNECT, network))
    for more in (Spoken("tls", "example.org"), Flow(700, 30, 0, 0, 1, late=False)):
        network.more = more
        action = Action.SEND if isinstance(more, Spoken) else Action.FLOW
        made.add(story.event(WHO, action, network))
    (peer,) = made.peers()
    assert (peer.connects, peer.protocol, peer.bytes_in, peer.bytes_out) == (1, "tls", 700, 30)


def test_who_was_met_before_is_known() -> None:
    made = traffic()
    assert known_as("github.com", 443) in made.names()
    known = [peer.name for peer in made.peers(frozenset({"github.com:443"})) if peer.known]
    assert known == ["github.com"]


def test_quiet_peers_without_violations_are_forgotten_first() -> None:
    story, made = scene.Story(), Traffic(max_peers=3)
    for host in range(1, 4):
        made.add(story.event(WHO, Action.CONNECT, scene.tcp(f"10.0.0.{host}", 80)))
    first = story.events[0]
    made.add_violation(story.violate(scene.NETWORK, first, "x"))
    made.add(story.event(WHO, Action.CONNECT, scene.tcp("10.0.0.9", 80)))
    assert {peer.ip for peer in made.peers()} == {"10.0.0.1", "10.0.0.3", "10.0.0.9"}
    assert made.forgotten == 1


@pytest.mark.parametrize("sort", SORTS)
def test_peers_are_sorted_as_asked(sort: str) -> None:
    keys = {
        "worst": lambda peer: -(peer.level.rank if peer.level else -1),
        "latest": lambda peer: -peer.last_ns,
        "bytes": lambda peer: -(peer.bytes_in + peer.bytes_out),
        "name": lambda peer: peer.name,
    }
    values = [keys[sort](peer) for peer in ordered(traffic().peers(), sort)]
    assert values == sorted(values)


def written(*paths: str, limit: int = 100) -> Written:
    story, made = scene.Story(), Written(limit)
    for path in paths:
        made.add(story.event(WHO, Action.FILE_WRITE, File(path)))
        made.add(story.event(WHO, Action.FILE_CLOSE, File(path, bytes_written=10, writes=1)))
    return made


def test_the_workspace_stands_apart_from_the_rest() -> None:
    rows = written("/work/a/b/x", "/work/y", "/etc/z").rows()
    assert [(row.path, row.outside, row.files, row.bytes) for row in rows] == [
        ("/work", False, 2, 20),
        ("/work/a/b", False, 1, 10),
        ("/work/a/b/x", False, 1, 10),
        ("/work/y", False, 1, 10),
        ("/", True, 1, 10),
        ("/etc", True, 1, 10),
        ("/etc/z", True, 1, 10),
    ]


def test_closed_folders_hide_what_is_below() -> None:
    made = written("/work/a/x", "/work/a/y", "/work/z")
    assert [row.path for row in made.rows(frozenset({"/work/a"}))] == ["/work", "/work/a", "/work/z"]


def test_what_was_removed_or_failed_is_told_apart() -> None:
    story, made = scene.Story(), written("/work/x")
    made.add(story.event(WHO, Action.FILE_UNLINK, File("/work/x")))
    made.add(story.event(WHO, Action.FILE_WRITE, File("/etc/shadow"), error=13))
    assert [(row.path, row.gone) for row in made.rows()] == [("/work", False), ("/work/x", True)]


def test_files_beyond_the_limit_are_counted_and_their_bytes_kept() -> None:
    made = written(*(f"/work/{number}" for number in range(9)), limit=4)
    assert len(made.rows()) == 5
    assert made.rows()[0].bytes == 90
    assert made.forgotten == 10


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from(["work", "a", "b"]), min_size=1, max_size=5), max_size=20))
def test_folders_add_up(paths: list[list[str]]) -> None:
    made = written(*("/x/" + "/".join(path) for path in paths), limit=1000)
    roots = [row for row in made.rows() if not row.guides]
    assert sum(row.bytes for row in roots) == 10 * len(paths)


def test_bins_double_when_there_are_too_many() -> None:
    story, minutes = scene.Story(step_ns=1_000_000_000), Minutes(max_bins=8)
    for _ in range(31):
        minutes.add(story.event(WHO, Action.FORK))
    minutes.add_violation(story.violate(scene.LOW, story.events[-1], "x"))
    timeline = minutes.timeline()
    assert timeline.bin_ns == 4_000_000_000
    assert timeline.families[Family.PROCESS] == (4, 4, 4, 4, 4, 4, 4, 3)
    assert timeline.levels == {Level.LOW: (0, 0, 0, 0, 0, 0, 0, 1)}


def test_rates_are_of_the_last_whole_seconds() -> None:
    story, pulses = scene.Story(step_ns=100_000_000), Pulses()
    for _ in range(50):
        pulses.add(story.event(WHO, Action.FORK))
    last_ns = story.events[-1].time_ns
    assert pulses.at(last_ns)[Family.PROCESS].per_s == 10
    assert pulses.at(last_ns + 10_000_000_000)[Family.PROCESS].per_s == 0
    assert sum(pulses.at(last_ns)[Family.PROCESS].counts) == 50
    assert sum(pulses.at(last_ns + 10**12)[Family.PROCESS].counts) == 0


def test_families() -> None:
    assert {family_of(event) for event in STORY.events} == set(Family)


def test_sparkline() -> None:
    assert sparkline((0, 1, 4, 8), 6) == "▁▁▁▂▅█"
    assert sparkline((), 3) == "▁▁▁"
    assert sparkline((5,), 0) == ""


def test_around_a_violation_stand_the_acts_of_its_process() -> None:
    story, around = scene.Story(), Around()
    other = scene.process(200, None, "other")
    before = [story.event(WHO, Action.FORK) for _ in range(9)]
    for event in before:
        assert not list(around.add(event))
    broke = story.event(WHO, Action.EXEC)
    assert not list(around.add(broke))
    assert around.before(broke) == tuple(before[-KEPT + 1 :])
    key = ("rule", "entity", "words")
    around.wait(key, broke)
    assert not list(around.add(story.event(other, Action.FORK)))
    after = [story.event(WHO, Action.FORK) for _ in range(9)]
    told = [each for event in after for each in around.add(event)]
    assert told == [(key, event) for event in after[:KEPT]]


def test_the_story_tells_what_came_before_and_after() -> None:
    groups = scene.model_of(STORY).snapshot().violations
    group = next(each for each in groups if each.violation.rule is scene.STARTUP)
    assert [event.action for event in group.before][-1] is Action.FILE_CHMOD
    assert group.after[0].action is Action.FILE_CLOSE


def test_what_ended_long_ago_and_broke_nothing_is_folded() -> None:
    snapshot = scene.model_of(STORY).snapshot()
    rows, hidden = without_ended(snapshot.processes, snapshot.summary.now_ns)
    names = {row.process.name for row in rows}
    assert "git" not in names
    assert {"pip", "ssh", "kworker"} <= names  # pip broke a rule, the others run
    assert sum(hidden.values()) == len(snapshot.processes) - len(rows) > 0
    assert without_ended(snapshot.processes, 0) == (snapshot.processes, {})


def test_a_process_remembers_what_it_wrote_and_whom_it_met() -> None:
    rows = {row.process.name: row for row in scene.model_of(STORY).snapshot().processes}
    assert rows["kworker"].peers == {"tcp 198.51.100.9:3333 pool.example": 1}
    assert rows["git"].written["/work/widget/.git/objects/pack/pack-9f1c2d.pack"] == 1_482_113
    assert rows["python3"].running == 0 or rows["python3"].process.pid == 4330


@pytest.mark.parametrize(
    ("seconds", "words"), [(7, "7s"), (200, "3m20"), (18_120, "5h02"), (12 * 86_400, "12d")]
)
def test_ages(seconds: int, words: str) -> None:
    assert describe.age(seconds * 1_000_000_000) == words


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0"), (999, "999"), (12_288, "12K"), (1_500, "1.5K"), (356_515_840, "340M")]
)
def test_short_sizes(size: int, words: str) -> None:
    assert describe.short_size(size) == words


def test_incoming_and_unix_ends() -> None:
    story, made = scene.Story(), Traffic()
    incoming = scene.tcp("10.1.0.7", 8080)
    incoming.direction, incoming.source_ip = "ingress", "192.0.2.7"
    made.add(story.event(WHO, Action.ACCEPT, incoming))
    unix = scene.tcp("", 0)
    unix.type, unix.transport, unix.path = NetworkType.UNIX, "unix", "/run/x.sock"
    made.add(story.event(WHO, Action.CONNECT, unix))
    names: list[Peer] = list(made.peers())
    assert {(peer.name, peer.incoming) for peer in names} == {("192.0.2.7", True), ("/run/x.sock", False)}
    assert all(event.outcome is Outcome.SUCCESS for event in story.events)


def test_peers_are_remembered_from_session_to_session(tmp_path: Path) -> None:
    known = KnownPeers(tmp_path)
    known.remember("first", ["github.com:443", "10.0.0.1:22"])
    known.remember("second", ["github.com:443", "\udcff:1"])
    assert before(known.read(), "second") == {"github.com:443", "10.0.0.1:22"}
    assert before(known.read(), "first") == {"\\xff:1"}
    (tmp_path / "known-peers.json").write_text("{nonsense")
    assert known.read() == {}
    KnownPeers(tmp_path / "missing").remember("first", ["x:1"])
    assert [path.name for path in tmp_path.iterdir()] == ["known-peers.json"]
