"""A session that is sent to a collector as it goes on, also when that goes away meanwhile."""

from __future__ import annotations

import json
import socket

import pytest

from tests.collector import collector

from .driver import Rubicon, until


def test_all_of_a_session_reaches_a_collector_while_it_lives(rubicon: Rubicon) -> None:
    policy = rubicon.policy("files: {write: []}\n")
    with collector() as receiver:
        started = rubicon.start(
            "run", "--policy", policy, "--otlp", receiver.url, "--trace", rubicon.trace, "--", "sh", "-c",
            "echo >first; while [ ! -e go ]; do sleep 0.1; done; echo >second",
        )  # fmt: skip
        until(lambda: "first" in str(receiver.records), "the first event to arrive while it runs")
        assert started.process.poll() is None
        (rubicon.work / "go").touch()
        assert started.end() == 0
    names = [record.event_name for record in receiver.records]
    assert names.count("rubicon.violation") == 2
    assert names[-1] == "rubicon.summary"
    expected = rubicon.export()
    assert len(names) == len(expected)
    numbers = [
        attribute.value.int_value
        for record in receiver.records
        if record.event_name != "rubicon.violation"
        for attribute in record.attributes
        if attribute.key == "event.sequence"
    ]
    assert numbers == list(range(1, len(numbers) + 1))
    assert f"{receiver.url}: {len(names)} records delivered" in started.err


@pytest.mark.timeout(120)
def test_a_collector_that_comes_late_gets_everything_once(rubicon: Rubicon) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    started = rubicon.start(
        "run", "--otlp", f"http://127.0.0.1:{port}", "--trace", rubicon.trace, "--", "sh", "-c",
        "i=0; while [ $i -lt 50 ]; do /bin/true; i=$((i + 1)); done; while [ ! -e go ]; do sleep 0.1; done",
    )  # fmt: skip
    started.says("what is recorded meanwhile is sent later")
    with collector((503, b""), port=port) as receiver:
        (rubicon.work / "go").touch()
        assert started.end() == 0
    assert [record.event_name for record in receiver.records].count("rubicon.exec") >= 51
    assert len(receiver.records) == len(rubicon.export())
    assert "sent again" in started.err


def test_what_is_no_url(rubicon: Rubicon) -> None:
    done = rubicon.do("run", "--otlp", "not a url", "--", "true")
    assert (done.returncode, "give a URL such as" in done.stderr) == (2, True)
    assert not rubicon.traces.exists()


def test_lines_as_they_come(rubicon: Rubicon) -> None:
    session = rubicon.start(
        "run", "--trace", rubicon.trace, "--", "sh", "-c", "/bin/true; while [ ! -e go ]; do sleep 0.1; done"
    )
    until(rubicon.trace.exists, "the trace")
    following = rubicon.start("export", rubicon.trace, "--format", "jsonl", "--follow")
    until(lambda: '"/bin/true"' in following.out, "the event to be written while it runs")
    (rubicon.work / "go").touch()
    assert (session.end(), following.end()) == (0, 0)
    assert [json.loads(line) for line in following.out.splitlines()] == rubicon.export()
    done = rubicon.do("export", rubicon.trace, "--format", "steps", "--follow")
    assert (done.returncode, "is made at the end" in done.stderr) == (2, True)
