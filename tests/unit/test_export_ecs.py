"""Every document has the shape of the schema and says what the event said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from tests.export_samples import HOSTILE, SESSION, START_NS, events, items
from tracer.events import Action
from tracer.export import ProcessDocuments, event_document, session_facts, violation_document
from tracer.export.ecs import open_flags, timestamp
from tracer.export.schema import Document


def document(number: int) -> dict[str, Any]:
    """Of the sample event with that sequence number."""
    return event_document(events()[number - 1], SESSION)


def test_samples_cover_every_action() -> None:
    assert {event.action for event in events()} == set(Action)


@pytest.mark.parametrize("event", events(), ids=lambda event: f"{event.sequence}-{event.action}")
def test_every_event_fits_the_schema_and_is_valid_unicode(event: Any) -> None:
    made = event_document(event, SESSION)
    Document.model_validate(made)
    assert json.loads(json.dumps(made, ensure_ascii=False).encode("utf-8")) == made


def test_every_violation_fits_the_schema() -> None:
    made = [violation_document(violation, SESSION) for _, found in items() for violation in found]
    assert len(made) == 3
    for alert in made:
        Document.model_validate(alert)
    assert made[0]["event"]["kind"] == "alert"
    assert made[0]["event"]["sequence"] == 5
    assert made[0]["rule"]["level"] == "critical"
    assert made[0]["threat"]["technique"]["id"] == ["T1572"]
    assert made[0]["rubicon"]["matched"] == [{"field": "destination.port", "value": "22"}]
    assert "threat" not in made[1]


def test_schema_refuses_what_it_does_not_know() -> None:
    for place in ("event", "process", "file", "rubicon"):
        made = document(12)
        made[place]["surprise"] = 1
        with pytest.raises(ValidationError):
            Document.model_validate(made)


def test_common_fields() -> None:
    made = document(2)
    assert made["@timestamp"] == "2026-01-01T00:00:00.000002000Z"
    assert made["event"] == {
        "kind": "event",
        "category": ["process"],
        "action": "exec",
        "outcome": "success",
        "sequence": 2,
    }
    assert made["user"] == {"id": "1000", "group": {"id": "1000"}, "name": "ada", "effective": {"id": "0"}}
    assert made["rubicon"]["truncated"] == [{"field": "process.args", "length_bytes": 123_456}]
    assert (made["rubicon"]["session"], made["rubicon"]["tier"]) == ("01-swift-otter", "B")
    assert made["process"]["command_line"] == "python3 agent.py --né \\xff"
    assert made["process"]["thread"] == {"id": 102}


def test_lineage_is_oldest_last() -> None:
    made = document(4)["process"]
    assert made["parent"]["pid"] == 101
    assert [ancestor["pid"] for ancestor in made["ancestors"]] == [101, 100, 1]
    assert set(made["ancestors"][0]) == {"pid", "entity_id", "executable", "name"}


def test_kept_process_documents_change_nothing() -> None:
    for limit in (1, 2, 100):
        kept = ProcessDocuments(limit)
        for event in events() + events():
            assert event_document(event, SESSION, kept) == event_document(event, SESSION)


def test_snapshot_is_a_state() -> None:
    assert document(1)["event"]["kind"] == "state"


def test_failed_exec_keeps_the_caller_and_names_what_was_tried() -> None:
    made = document(3)
    assert made["process"]["executable"] == "/usr/bin/python3.11"
    assert made["file"] == {"path": "/opt/none"}
    assert made["rubicon"]["attempted"] == {"filename": "none", "args": ["none", "-x"]}
    assert made["error"] == {"code": "ENOENT"}
    assert "exec" not in made["rubicon"]


def test_exec_tells_of_its_standard_streams() -> None:
    facts = document(4)["rubicon"]["exec"]
    assert (facts["stdin"], facts["stdin_peer"], facts["deleted"]) == ("socket", "198.51.100.7:4444", True)
    assert facts["device"] == "8:1"


@pytest.mark.parametrize(
    ("number", "destination", "network"),
    [
        (
            5,
            {"address": "198.51.100.7", "ip": "198.51.100.7", "port": 22, "domain": "tunnel.example"},
            ("ipv4", "tcp"),
        ),
        (6, {"address": "2001:db8::1", "ip": "2001:db8::1", "port": 443}, ("ipv6", "tcp")),
        (7, {"address": "@/tmp/\\xfe.sock"}, ("unix", "unix")),
        (8, None, ("other", "tcp")),
    ],
)
def test_connect(number: int, destination: dict[str, Any] | None, network: tuple[str, str]) -> None:
    made = document(number)
    assert made.get("destination") == destination
    assert (made["network"]["type"], made["network"]["transport"]) == network
    assert ("source" in made) == (number in (5, 6))


def test_refused_connect_names_the_errno() -> None:
    assert document(6)["error"] == {"code": "ECONNREFUSED"}
    assert document(14)["error"] == {"code": "512"}  # the kernel's own ERESTARTSYS has no name here


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (10, {"path": "/etc/shadow"}),
        (12, {"path": "/work/a", "inode": "7", "device": "0:1", "mode": "0640", "type": "file"}),
        (13, {"path": "/work/new", "Ext": {"original": {"path": "/work/old"}}}),
        (15, {"path": "/work/name", "Ext": {"original": {"path": "/work/a"}}}),
        (16, {"path": "/work/link", "target_path": "../\\xff"}),
        (17, {"path": "/work/d", "mode": "1777"}),
        (19, {"path": "/work/a", "inode": "7", "device": "0:1", "size": 0}),
        (20, {"path": "/work/a", "mode": "4755"}),
        (21, {"path": "/work/a", "uid": "0"}),
    ],
)
def test_file(number: int, expected: dict[str, Any]) -> None:
    assert document(number)["file"] == expected


def test_write_and_close_say_how() -> None:
    assert document(9)["rubicon"]["file"] == {"created": True, "flags": ["O_WRONLY", "O_CREAT", "O_TRUNC"]}
    assert document(11)["rubicon"]["file"]["flags"] == ["O_RDWR", "O_TMPFILE"]
    assert document(12)["rubicon"]["file"] == {"bytes_written": 2**40, "writes": 31}


def test_exit_by_code_and_by_signal() -> None:
    assert document(39)["process"]["exit_code"] == 3
    assert document(40)["process"]["exit_code"] == 128 + 9
    assert document(40)["rubicon"]["signal"] == {"number": 9, "name": "SIGKILL"}
    assert document(41)["rubicon"]["signal"] == {"number": 40, "name": "SIGRTMIN+6"}


def test_hostile_name_keeps_its_bytes_apart_from_the_invalid_one() -> None:
    assert document(9)["file"]["path"] == HOSTILE.replace("\udcff", "\\xff")


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (START_NS - 1, "2025-12-31T23:59:59.999999999Z"),
        (951_782_400_000_000_007, "2000-02-29T00:00:00.000000007Z"),
    ],
)
def test_timestamp(time_ns: int, text: str) -> None:
    assert timestamp(time_ns) == text


def test_open_flags_with_an_access_mode_that_does_not_exist() -> None:
    assert open_flags(3) == ["O_ACCMODE"]


def test_session_facts_of_a_record_with_and_without_them() -> None:
    record = {"type": "session", "id": "s", "targets": ["pid:1", "pid:2"], "tier": "A", "start_ns": 5}
    facts = session_facts(record)
    assert (facts.session, facts.target, facts.tier, facts.start_ns) == ("s", "pid:1 pid:2", "A", 5)
    assert session_facts({}).session == "unknown"
