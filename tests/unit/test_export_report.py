"""The audit report: what it says, what it leaves out and counts, and that no name in it is alive."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

from tests.export_samples import AGENT, OUTSIDE, SESSION, events, items, process
from tracer.events import Event, Match, Violation
from tracer.export import Closing, Summary, report
from tracer.export.audit import BINS, FILES_KEPT, PROCESSES_KEPT, Audit, Timeline
from tracer.trace import Sealed, TraceState, Verdict

INTEGRITY = Verdict(
    TraceState.INTACT,
    3,
    90,
    78,
    1,
    2,
    0,
    17,
    4096,
    Sealed("SHA256:abc", "host", 3, "ab" * 32),
    None,
    "intact",
)
RECORD: dict[str, Any] = {
    "id": "01-swift-otter",
    "targets": ["docker:web"],
    "command": ["sh", "-c", "<script>alert(1)</script>"],
    "tier": "B",
    "loader": "core",
    "start_ns": SESSION.start_ns,
    "host": "h<b>",
    "kernel": "6.1",
    "machine": "x86_64",
    "version": "1",
    "rules": {"digest": "d1", "sources": [{"path": "pack:x.yml", "sha256": "ff" * 32}]},
    "unseen": ["what a hypervisor does"],
}


class Page(HTMLParser):
    """Which elements and attributes there are, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def made(found: Sequence[tuple[Event, Sequence[Violation]]], record: dict[str, Any] = RECORD) -> str:
    summary, audit = Summary(), Audit(["/work"])
    audit.take(found)
    for event, violations in found:
        summary.add(event, violations)
    summary.closing = Closing({"critical": 0, "bulk": 17})
    out = io.StringIO()
    report.write(out, record, audit, summary, integrity=INTEGRITY, made_ns=SESSION.start_ns)
    return out.getvalue()


def test_it_says_what_happened_and_what_it_cannot_vouch_for() -> None:
    text = Page(made(items())).text
    for said in (
        "1 critical violation",
        "17 records were lost in the bulk ring",
        "integrity: intact",
        "Reverse tunnel",
        "T1572",
        "tunnel.example",
        "init (1)",
        "episode-1",
        "what a hypervisor does",
        "SHA256:abc",
        "pack:x.yml",
        "[2001:db8::1]:443",
    ):
        assert said in text, said


def test_it_lists_what_was_written_outside_of_the_workspace() -> None:
    """And neither what was written within, nor what was only tried."""
    text = Page(made(items())).text
    listed = text.partition("Files written outside")[2].partition("What could not")[0]
    assert "/tmp/#9" in listed
    assert not [path for path in ("/work/new", "/work/x", "/etc/shadow") if path in listed]
    assert "5 writes there" in listed


def test_hostile_names_are_inert() -> None:
    evil = process(666, "/x<img src=x onerror=alert(1)>\x1b[2J", ('"><svg onload=alert(1)>', "\u202e"), AGENT)
    event = replace(events()[4], process=evil)
    violation = Violation(OUTSIDE, event, (Match("<i>", "</td><script>"),), "<script>alert(1)</script>")
    page = made([(event, [violation])])
    parsed = Page(page)
    assert not parsed.elements & {"script", "img", "iframe", "object", "link", "a", "i", "b", "form"}
    assert not {name for name in parsed.attributes if name.startswith("on")} | (
        parsed.attributes & {"src", "href"}
    )
    assert "default-src 'none'" in page
    controls = {character for character in page if character < " "}
    assert controls == {"\n"}
    assert not set(page) & {"\x7f", "\u202e"}


def test_an_empty_trace_is_a_page_too() -> None:
    text = Page(made([], dict.fromkeys(RECORD) | {"id": "s", "start_ns": 0})).text
    assert "nothing that was seen broke a rule" in text
    assert "Nothing happened." in text


def test_what_is_too_much_is_counted() -> None:
    audit = Audit([])
    first = events()[8]
    audit.take(
        (
            replace(
                first,
                process=replace(AGENT, entity_id=str(number)),
                detail=replace(first.detail, path=f"/{number}"),  # type: ignore[type-var]
            ),
            (),
        )
        for number in range(FILES_KEPT + 5)
    )
    assert (len(audit.nodes), len(audit.outside)) == (PROCESSES_KEPT, FILES_KEPT)
    assert audit.left_out == {"processes": FILES_KEPT + 5 - PROCESSES_KEPT, "files": 5}


def test_timeline_grows_coarser_and_loses_nothing() -> None:
    timeline = Timeline()
    first = events()[4]
    for second in range(0, 10_000, 7):
        timeline.add(replace(first, time_ns=first.time_ns + second * 10**9), 1)
    assert len(timeline.bins) <= BINS
    assert (
        sum(each[1] for each in timeline.bins)
        == sum(each[-1] for each in timeline.bins)
        == len(range(0, 10_000, 7))
    )


def test_tree_hangs_each_process_below_its_nearest_known_ancestor() -> None:
    audit = Audit([])
    middle = process(200, "/bin/middle", ("middle",), AGENT)
    leaf = process(201, "/bin/leaf", ("leaf",), middle)
    audit.take([(replace(events()[1], process=each), ()) for each in (AGENT, leaf)])
    (root,) = audit.roots()
    assert [child.process.pid for child in root.children] == [201]
