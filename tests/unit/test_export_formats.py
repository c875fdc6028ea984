"""What each format makes of the sample session, read back as its own tools read it."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
import urllib3
from ocsf.v1_7_0 import events as ocsf_events
from ocsf.v1_7_0 import objects as ocsf_objects
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)
from pydantic import BaseModel, SerializeAsAny

from tests.collector import collector
from tests.export_samples import AGENT, HOSTILE, OUTSIDE, SESSION, events, items
from tracer.errors import RubiconError
from tracer.events import Level, Response, Result, Subject, Taken
from tracer.export import Documents, cef, csv_table, navigator, ocsf, otlp, parquet, sqlite, steps
from tracer.export.columns import COLUMNS, Kind, nanoseconds
from tracer.export.views import VIEWS

TAKEN = Taken(
    SESSION.start_ns + 9_000,
    Response.KILL,
    Result.DONE,
    f"killed {HOSTILE}",
    event=9,
    rule=OUTSIDE,
    subject=Subject(AGENT.pid, AGENT.entity_id, AGENT.executable, AGENT.name),
)


def documents() -> Documents:
    waiting = [TAKEN]

    def taken() -> Iterator[Taken]:
        while waiting:
            yield waiting.pop()

    return Documents(items(), SESSION, taken=taken)


def text_of(write: Any) -> str:
    out = io.StringIO(newline="")
    write(documents(), out)
    return out.getvalue()


COUNT = len(list(documents()))

OCSF_CLASSES = {
    1001: ocsf_events.FileActivity,
    1002: ocsf_events.KernelExtensionActivity,
    1003: ocsf_events.KernelActivity,
    1007: ocsf_events.ProcessActivity,
    2004: ocsf_events.DetectionFinding,
    4001: ocsf_events.NetworkActivity,
    4003: ocsf_events.DnsActivity,
    0: ocsf_events.BaseEvent,
}
OF_PROFILES = {"device", "actor", "container"}


def unknown_fields(model: Any) -> Iterator[str]:
    """What OCSF's classes do not know: the models let it pass."""
    if isinstance(model, list):
        for each in model:
            yield from unknown_fields(each)
    elif isinstance(model, BaseModel):
        yield from model.model_extra or ()
        for name in type(model).model_fields:
            if name != "unmapped":
                yield from unknown_fields(getattr(model, name))


def test_ocsf_is_what_its_schema_says() -> None:
    parts = ("Enrichment", "Fingerprint", "Metadata", "Object", "Observable")  # made when they are asked for
    names = {name: getattr(ocsf_objects, name) for name in parts}
    ocsf_events.BaseEvent.model_rebuild(_types_namespace={**names, "SerializeAsAny": SerializeAsAny})
    made = list(ocsf.events(documents()))
    assert len(made) == COUNT
    assert {event["class_uid"] for event in made} == set(OCSF_CLASSES)
    for event in made:
        model = OCSF_CLASSES[event["class_uid"]].model_validate(event)
        strange = set(unknown_fields(model))
        assert strange <= (OF_PROFILES if event["metadata"].get("profiles") else set()), event
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]


def test_ocsf_finding_has_rule_technique_and_evidence() -> None:
    made = [event for event in ocsf.events(documents()) if event["class_uid"] == 2004]
    tunnel = next(event for event in made if event["finding_info"]["title"] == "Reverse tunnel")
    assert (tunnel["severity_id"], tunnel["finding_info"]["attacks"][0]["technique"]["uid"]) == (5, "T1572")
    assert tunnel["evidences"][0]["dst_endpoint"] == {
        "ip": "198.51.100.7",
        "port": 22,
        "hostname": "tunnel.example",
    }
    (update,) = [event for event in made if event["activity_id"] == 2]
    assert update["finding_info"]["uid"] in {
        event["finding_info"]["uid"] for event in made if event is not update
    }


def test_csv_runs_nothing_in_a_spreadsheet() -> None:
    rows = list(csv.DictReader(io.StringIO(text_of(csv_table.write), newline="")))
    assert len(rows) == COUNT
    assert list(rows[0]) == [column.name for column in COLUMNS]
    assert rows[-1]["kind"] == "metric"
    assert [csv_table.safe_cell(text) for text in ("=1+1", "+1", "-1", "@x", "a\nb", "x=1")] == [
        "'=1+1", "'+1", "'-1", "'@x", "a\\nb", "x=1",
    ]  # fmt: skip


CEF_LINE = re.compile(
    r"<(?P<pri>\d+)>1 (?P<time>\S+) (?P<host>[!-~]+) rubicon - (?P<id>[!-~]+) - "
    r"CEF:0\|Rubicon\|Rubicon\|1\.2\.3\|(?P<signature>(?:[^|\\]|\\.)*)\|(?P<name>(?:[^|\\]|\\.)*)\|(?P<level>\d+)\|"
    r"(?P<fields>.*)"
)


def cef_fields(text: str) -> dict[str, str]:
    found = re.findall(r"(\w+)=((?:[^=\\]|\\.)*?)(?= \w+=|$)", text)
    return {key: re.sub(r"\\(.)", r"\1", value) for key, value in found}


def test_cef_lines_are_read_back() -> None:
    lines = text_of(cef.write).splitlines()
    assert len(lines) == COUNT
    read = [CEF_LINE.fullmatch(line) for line in lines]
    fields = [cef_fields(line["fields"]) for line in read if line]
    assert len(fields) == COUNT
    alerts = [(line["name"], line["level"], line["pri"]) for line in read if line and int(line["level"]) > 1]
    assert alerts[0] == ("Reverse tunnel", "10", str(13 * 8 + 2))
    assert all(key in each for each in fields for key in ("act",))
    (hostile,) = [each for each in fields if each.get("cat") == "file" and "wrote" in each.get("msg", "")]
    assert "\\x1b[2J" in hostile["filePath"]
    assert all(character >= " " for line in lines for character in line)


def test_navigator_layer_scores_techniques() -> None:
    layer = json.loads(text_of(navigator.write))
    (technique,) = layer["techniques"]
    assert (technique["techniqueID"], technique["score"], technique["comment"]) == (
        "T1572",
        1,
        "Reverse tunnel (1)",
    )
    assert technique["color"] == {item["label"]: item["color"] for item in layer["legendItems"]}["critical"]


def rows_of(source: Documents) -> list[tuple[Any, ...]]:
    return [tuple(column.read(document) for column in COLUMNS) for document in source]


def test_sqlite_holds_every_row_and_its_views_agree(tmp_path: Path) -> None:
    path = tmp_path / "out.db"
    sqlite.write(documents(), path)
    names = ", ".join(column.name for column in COLUMNS)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute(f"SELECT {names} FROM records").fetchall() == rows_of(documents())
        counts = {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in VIEWS}
        kinds = database.execute("SELECT DISTINCT document->>'$.event.kind' FROM violations").fetchall()
    assert counts["events"] == len(events())
    assert (counts["violations"], counts["responses"], counts["summary"]) == (3, 1, 1)
    assert all(counts.values())
    assert kinds == [("alert",)]


def test_parquet_is_typed_and_holds_every_row(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    parquet.write(documents(), path)
    table = pq.read_table(path)
    expected = rows_of(documents())
    for place, column in enumerate(COLUMNS):
        values = table.column(column.name)
        if column.kind is Kind.TIME:
            times = [nanoseconds(row[place]) if row[place] else None for row in expected]
            assert values.cast("int64").to_pylist() == times
        else:
            assert values.to_pylist() == [row[place] for row in expected]


def test_duckdb_reads_the_same_views(tmp_path: Path) -> None:
    parquet.write(documents(), tmp_path / "out.parquet")
    sqlite.write(documents(), tmp_path / "out.db")
    with duckdb.connect() as duck, closing(sqlite3.connect(tmp_path / "out.db")) as lite:
        duck.execute("CREATE TABLE records AS SELECT * FROM read_parquet(?)", [str(tmp_path / "out.parquet")])
        for name, view in VIEWS.items():
            duck.execute(f"CREATE VIEW {name} AS {view.query}")
            question = f"SELECT count(*) FROM {name}"
            assert duck.execute(question).fetchall() == lite.execute(question).fetchall(), name


def test_otlp_reaches_a_collector_that_was_busy() -> None:
    with collector((503, b""), (429, b"")) as receiver:
        retries = urllib3.Retry(total=3, allowed_methods=["POST"], status_forcelist=[429, 503])
        otlp.send(documents(), receiver.url, retries)
    assert receiver.paths == ["/v1/logs"] * 3
    records = receiver.records
    assert len(records) == COUNT
    worst = max(records, key=lambda record: record.severity_number)
    assert (worst.event_name, worst.body.string_value) == ("rubicon.violation", "a tunnel was opened")
    attributes = {each.key: each.value for each in worst.attributes}
    assert attributes["rule.level"].string_value == Level.CRITICAL.value
    assert attributes["destination.port"].int_value == 22


def test_otlp_says_what_the_collector_refused() -> None:
    partial = ExportLogsServiceResponse(
        partial_success=ExportLogsPartialSuccess(rejected_log_records=7, error_message="no\x1b[2J room")
    )
    with (
        collector((200, partial.SerializeToString())) as receiver,
        pytest.raises(RubiconError, match=r"refused 7 records: no\\x1b\[2J room"),
    ):
        otlp.send(documents(), f"{receiver.url}/own/path")
    assert receiver.paths == ["/own/path"]
    with collector((400, b"bad")) as receiver, pytest.raises(RubiconError, match="answered 400: bad"):
        otlp.send(documents(), receiver.url)


def test_otlp_names_a_collector_that_is_not_there() -> None:
    with collector() as receiver:
        url = receiver.url
    with pytest.raises(RubiconError, match=rf"cannot reach the collector at {url}"):
        otlp.send(documents(), url, urllib3.Retry(0))


def test_otlp_lines_are_requests() -> None:
    (line,) = text_of(otlp.write).splitlines()
    (resource,) = json.loads(line)["resourceLogs"]
    assert len(resource["scopeLogs"][0]["logRecords"]) == COUNT
    assert all(isinstance(each["severityNumber"], int) for each in resource["scopeLogs"][0]["logRecords"])


def test_steps_hold_their_events_and_their_label() -> None:
    found = [json.loads(line) for line in text_of(steps.write).splitlines()]
    assert [(step["step"], step["label"], len(step["events"])) for step in found] == [
        ("7", "violated", 5),
        ("8", "clean", 1),
        (None, "clean", len(events()) - 3),
    ]
    assert found[0]["rules"]["r-1"] == {"name": "Reverse tunnel", "level": "critical", "count": 1}
    assert (found[0]["tool"], found[0]["episode"], found[0]["call_id"]) == ("Bash", "episode-1", "call\\xff")
    assert found[0]["counts"] == {"connect": 1, "file_write": 1}


def test_otlp_lines_carry_trace_context_as_the_protocol_writes_it() -> None:
    (resource,) = json.loads(text_of(otlp.write))["resourceLogs"]
    ids = {record.get("traceId") for record in resource["scopeLogs"][0]["logRecords"]}
    assert ids == {None, "ab" * 16}
