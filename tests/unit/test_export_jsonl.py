"""The stream: order, filter, summary, and nothing in it that could move a cursor."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.export_samples import SESSION, events, items
from tracer.events import Event, Violation
from tracer.export import Closing, Documents, jsonl
from tracer.export.schema import Document


def lines(text: str) -> list[dict[str, Any]]:
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_violations_follow_their_event_and_the_summary_is_last() -> None:
    out = io.StringIO()
    closing = Closing({"critical": 2, "bulk": 3}, "torn", 5, 1)
    jsonl.write(Documents(items(), SESSION, closing=lambda: closing), out)
    found = lines(out.getvalue())
    kinds = [(line["event"]["kind"], line["event"].get("sequence")) for line in found]
    assert kinds[4:7] == [("event", 5), ("alert", 5), ("alert", 5)]
    assert len(found) == len(events()) + 3 + 1
    for line in found:
        Document.model_validate(line)
    counts = found[-1]["rubicon"]["summary"]
    assert found[-1]["event"] == {"kind": "metric", "action": "summary"}
    assert counts["actions"]["connect"] == 6
    assert counts["violations"] == {"informational": 0, "low": 0, "medium": 0, "high": 2, "critical": 1}
    assert counts["losses"] == {"critical": 2, "bulk": 3}
    assert (counts["unjudged"], counts["bad_records"]) == (5, 1)
    assert (counts["verdict"], counts["damage"], counts["events"]) == ("violated", "torn", len(events()))


def test_only_violations_still_counts_everything() -> None:
    out = io.StringIO()
    documents = Documents(items(), SESSION, only_violations=True)
    jsonl.write(documents, out)
    assert [line["event"]["kind"] for line in lines(out.getvalue())] == ["alert"] * 3 + ["metric"]
    assert documents.summary.events == len(events())


@pytest.mark.parametrize(
    ("closing", "verdict"),
    [
        (Closing(), "clean"),
        (Closing({"critical": 0, "bulk": 0}), "clean"),
        (Closing({"critical": 0, "bulk": 1}), "incomplete"),
        (Closing({}, "torn at block 3"), "incomplete"),
        (Closing(unjudged=1), "incomplete"),
        (Closing(bad_records=1), "incomplete"),
    ],
)
def test_verdict_without_violations(closing: Closing, verdict: str) -> None:
    out = io.StringIO()
    judged = [(event, ()) for event in events()]
    jsonl.write(Documents(judged, SESSION, closing=lambda: closing), out)
    assert lines(out.getvalue())[-1]["rubicon"]["summary"]["verdict"] == verdict


def test_session_without_events_is_a_summary_alone() -> None:
    out = io.StringIO()
    jsonl.write(Documents([], SESSION), out)
    (summary,) = lines(out.getvalue())
    Document.model_validate(summary)
    assert summary["@timestamp"] == "2026-01-01T00:00:00.000000000Z"
    assert summary["rubicon"]["summary"]["actions"] == {}


def test_stream_is_printable_ascii_lines() -> None:
    out = io.StringIO()
    jsonl.write(Documents(items(), SESSION), out)
    assert {byte for byte in out.getvalue().encode("ascii") if not 0x20 <= byte < 0x7F} == {0x0A}


def test_each_event_is_written_before_the_next_is_asked_for() -> None:
    out = io.StringIO()

    def source() -> Iterator[tuple[Event, Sequence[Violation]]]:
        for count, item in enumerate((event, ()) for event in events()):
            assert out.getvalue().count("\n") == count
            yield item

    jsonl.write(Documents(source(), SESSION), out)
