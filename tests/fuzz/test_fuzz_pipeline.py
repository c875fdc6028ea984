"""Whatever a trace holds, reading it ends, counts what was bad, and what it gives can be exported."""

from __future__ import annotations

import json
import struct
from dataclasses import fields, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests import wire
from tests.records import SESSION
from tests.unit.test_pipeline import SESSION_RECORD, judge_nothing, made_block
from tracer.capture.decode import RecordDecoder
from tracer.context.paths import joined
from tracer.export import event_document, session_facts
from tracer.export.schema import Document
from tracer.pipeline import Pipeline, RecordedPipeline
from tracer.records import CgroupRecord, Credentials, FileId, Kind, Peer, Record, Target
from tracer.trace import ring_section

fuzz = settings(max_examples=150, deadline=None)

PEERS = st.builds(
    Peer,
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=16, max_size=16),
    st.integers(0, 65535),
    st.integers(0, 65535),
    st.sampled_from([0, 1, 2, 10, 16, 65535]),
    st.integers(0, 65535),
)
NAMES = st.text(st.sampled_from("ab/.\0\n\udcff"), max_size=12)
PATHS = st.lists(st.text(st.sampled_from("ab.\0\n\udcff"), min_size=1, max_size=4), max_size=3).map(
    lambda names: "/" + "/".join(names)
)
SMALL = st.integers(0, 4) | st.integers(0, 2**32 - 1)  # few pids and times, so that they meet
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int": SMALL,
    "bytes": st.binary(max_size=20),
    "str": NAMES,
    "Peer": PEERS,
    "Target": st.builds(Target, SMALL, SMALL, SMALL, st.binary(min_size=16, max_size=16)),
    "Credentials": st.builds(Credentials, *[st.integers(0, 2**64 - 1)] * 2, *[SMALL] * 8),
    "FileId": st.builds(FileId, SMALL, SMALL),
    "tuple[str, ...]": st.lists(NAMES, max_size=3).map(tuple),
}
NO_EVENT = {Kind.CGROUP}  # what these say becomes a part of other events
RESULTS = st.sampled_from([0, 3, -2, -115, -(2**31)])


def records() -> st.SearchStrategy[Record]:
    return st.one_of([_record(record) for record in wire.STRUCTS.values()])


def _record(record: type[Record]) -> st.SearchStrategy[Record]:
    values = {field.name: VALUES[str(field.type)] for field in fields(record)}
    kinds = st.sampled_from(wire.kinds_of(record))
    return st.builds(record, **(values | {"result": RESULTS, "kind": kinds, "flags": st.integers(0, 255)}))


def _encodable(record: type[Record]) -> st.SearchStrategy[Record]:
    """With paths as the kernel has them: a walk from the root."""
    paths = dict.fromkeys({"path", "path2", "cwd"} & {field.name for field in fields(record)}, PATHS)
    return _record(record).flatmap(
        lambda made: st.fixed_dictionaries(paths).map(lambda new: replace(made, **new))
    )


def documents(items: Any) -> int:
    """Each event must be exportable, whatever is in it."""
    facts, number = session_facts(SESSION), 0
    for event, _violations in items:
        number += 1
        assert event.sequence == number
        text = json.dumps(event_document(event, facts))
        text.encode("ascii")
        Document.model_validate_json(text)
    return number


@fuzz
@given(st.lists(records(), max_size=30))
def test_any_records_in_any_order(made: list[Record]) -> None:
    table = list(made)
    section = ring_section([struct.pack("<I", index) for index in range(len(table))]).data
    pipeline = Pipeline(SESSION, judge_nothing, lambda view: table[struct.unpack("<I", view)[0]])
    total = documents(pipeline.push(made_block(1, section, section)))
    told = [record for record in table if record.kind not in NO_EVENT]
    assert total + pipeline.bad_records == 2 * len(told)


@fuzz
@given(st.lists(st.binary(max_size=200), max_size=10), st.binary(max_size=300))
def test_random_bytes_in_records_and_framing(framed: list[bytes], raw: bytes) -> None:
    pipeline = Pipeline(SESSION_RECORD, judge_nothing)
    total = documents(pipeline.push(made_block(1, ring_section(framed).data, raw)))
    assert total + pipeline.bad_records >= len(framed)


@fuzz
@given(st.data())
def test_records_with_bytes_changed(data: st.DataObject) -> None:
    encoded = bytearray(wire.encode(data.draw(st.one_of(list(map(_encodable, wire.STRUCTS.values()))))))
    for _ in range(data.draw(st.integers(0, 4))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    pipeline = Pipeline(SESSION_RECORD, judge_nothing)
    total = documents(pipeline.push(made_block(1, ring_section([bytes(encoded)]).data, b"")))
    if total + pipeline.bad_records != 1:
        assert isinstance(RecordDecoder(wire.layout()).decode(encoded), CgroupRecord)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMED_FIELDS = st.sampled_from(
    [
        "id",
        "name",
        "domain",
        "addresses",
        "pid",
        "start_ns",
        "args",
        "event",
        "rule",
        "matched",
        "block",
        "parent_pid",
    ]
)


@fuzz
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["user", "name", "process", "violation", "judged", "notice", "x"]),
            st.dictionaries(NAMED_FIELDS, JSON, max_size=6),
        ),
        max_size=10,
    ),
    st.lists(records(), max_size=5),
)
def test_any_context_records(context: list[tuple[str, dict[str, Any]]], made: list[Record]) -> None:
    table = list(made)
    section = ring_section([struct.pack("<I", index) for index in range(len(table))]).data
    pipeline = RecordedPipeline(SESSION, lambda view: table[struct.unpack("<I", view)[0]])
    found = [facts | {"type": kind} for kind, facts in context]
    items = [*pipeline.push(made_block(1, section, b"", found)), *pipeline.finish()]
    assert documents(items) <= len(table)


@fuzz
@given(st.text(st.sampled_from("a./\n\udcff"), max_size=12), st.text(st.sampled_from("ab./"), max_size=20))
def test_joined_paths_never_leave_their_root(directory: str, name: str) -> None:
    base = joined("/", directory)
    assert base.startswith("/")
    path = joined(base, "/" + name)
    assert path == base or path.startswith(base.rstrip("/") + "/")
    assert ".." not in path.removeprefix(base).split("/")
