"""Sigma's semantics, against an evaluator that is not ours: pySigma's SQLite backend, on the same events.

Rules and events are made at random from the letters that matter: wildcards, escapes, what SQL and regular
expressions take for something else, both cases. Where the two differ by the specification there is a pinned
example below. Letters are ASCII: SQLite knows no case of others.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sigma.backends.sqlite import sqliteBackend
from sigma.collection import SigmaCollection

from tests.unit.rules.made import connected, process, ran
from tracer.events import Event
from tracer.rules.detection import Detection, compile_detection
from tracer.rules.fields import LOG_SOURCES, Facts
from tracer.rules.header import Skipped
from tracer.rules.search import Search
from tracer.rules.yamlfile import parse

TEXTS = ("Image", "CommandLine", "CurrentDirectory", "User", "ParentImage", "ParentCommandLine")
COLUMNS = {
    "process_creation": dict.fromkeys(TEXTS, "TEXT") | {"ProcessId": "INTEGER"},
    "network_connection": {
        "DestinationIp": "TEXT",
        "DestinationHostname": "TEXT",
        "DestinationPort": "INTEGER",
        "Initiated": "TEXT",
    },
}
BETWEEN_WORDS = "\x01"


def by_sqlite(rule: Mapping[str, Any], events: Sequence[Event]) -> list[bool]:
    """What the rule's query finds in a table with a row for each event."""
    category = rule["logsource"]["category"]
    fields = LOG_SOURCES[category].fields
    columns = COLUMNS[category]
    database = sqlite3.connect(":memory:")
    try:
        database.create_function("REGEXP", 2, _regexp)
        declared = ", ".join(f"{name} {kind} COLLATE NOCASE" for name, kind in columns.items())
        database.execute(f"CREATE TABLE logs ({declared}, words TEXT)")
        for event in events:
            facts = Facts(event)
            row = [facts[fields[name].text] for name in columns]
            said = [value for name, value in zip(columns, row, strict=True) if name in TEXTS and value]
            database.execute(
                f"INSERT INTO logs VALUES ({', '.join('?' * (len(row) + 1))})",
                [*row, BETWEEN_WORDS.join(said)],
            )
        backend = sqliteBackend(fulltext_field="words")
        found: set[int] = set()
        for query in backend.convert(SigmaCollection.from_dicts([dict(rule)])):
            found |= {rowid for (rowid,) in database.execute(query.replace("SELECT *", "SELECT rowid", 1))}
        return [rowid in found for rowid in range(1, len(events) + 1)]
    finally:
        database.close()


def _regexp(expression: str, text: str | None) -> bool:
    return text is not None and re.search(expression, text) is not None


def by_us(rule: Mapping[str, Any], events: Sequence[Event]) -> list[bool]:
    made = compiled(rule)
    if isinstance(made, Skipped):
        assert made.reason == "can never match"
        return [False] * len(events)
    found = [made.test(Facts(event)) for event in events]
    search = Search([made.node.anchors])
    assert all(
        not hit or list(search.candidates(Facts(event))) for hit, event in zip(found, events, strict=True)
    )
    return found


def compiled(rule: Mapping[str, Any]) -> Detection | Skipped:
    (document,) = parse(Path("rule.yml"), yaml.safe_dump(dict(rule)).encode())
    return compile_detection(document)


def rule_of(detection: Mapping[str, Any], category: str = "process_creation") -> dict[str, Any]:
    return {
        "title": "T",
        "logsource": {"category": category, "product": "linux"},
        "detection": dict(detection),
    }


# --- events -----------------------------------------------------------------------------------------------

LETTERS = "aAb*?\\%_.[]'\"-/ 1"
texts = st.text(LETTERS, max_size=8)
absent_or_text = st.none() | texts.filter(bool)


Row = tuple[str, str | None, str, str, tuple[str, str] | None, int]


def started(row: Row) -> Event:
    image, line, folder, user, above, pid = row
    parent = process(above[0], (above[1],) if above[1] else ()) if above else None
    args = (line,) if line else ()
    return ran("x", who=process(image, args, pid=pid, parent=parent, directory=folder, user=user))


rows: st.SearchStrategy[Row] = st.tuples(
    texts,
    absent_or_text,
    texts,
    texts.filter(bool),
    st.none() | st.tuples(texts, texts),
    st.sampled_from([1, 7, 11, 4302]),
)

ADDRESSES = ("10.1.2.3", "10.200.0.1", "192.0.2.77", "192.0.2.130", "2001:db8::1", "2001:db9::1", "::1")
connections = st.tuples(
    st.sampled_from(ADDRESSES),
    st.sampled_from([1, 22, 443, 65535]),
    st.sampled_from(["", "a.example", "A_b.example"]),
)

# --- rules ------------------------------------------------------------------------------------------------

values = st.text(LETTERS, min_size=1, max_size=6)
without_wildcards = st.text(LETTERS.translate({ord(each): None for each in "*?\\"}), min_size=1, max_size=6)
numbers = st.sampled_from([1, 7, 11, 4302, 5])
plain = st.sampled_from(["", "|contains", "|startswith", "|endswith", "|windash|contains", "|cased"])
cased = st.sampled_from(["|contains|cased", "|startswith|cased", "|endswith|cased"])
expressions = st.sampled_from(
    ["a", "^a", "b$", "a.b", r"\.", "[ab]+1?", "(a|b)-", r"^.?a", r"\\", r"^$", r"[^a]{3,}", "%", "'"]
)
regexes = st.tuples(st.sampled_from(["|re", "|re|i", "|re|s", "|re|m|i"]), expressions)


def listed(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return one | st.lists(one, min_size=1, max_size=3)


_text_field = st.sampled_from(TEXTS)
items = st.one_of(
    st.tuples(st.builds("{}{}".format, _text_field, plain | cased), listed(values)),
    st.tuples(st.builds("{}{}|all".format, _text_field, st.just("|contains")), st.lists(values, min_size=1)),
    st.tuples(
        st.builds("{}|contains|all|cased".format, _text_field), st.lists(values, min_size=1, max_size=3)
    ),
    st.builds(lambda field, one: (field + one[0], one[1]), _text_field, regexes),
    st.tuples(_text_field, st.none() | st.lists(values | st.none(), min_size=1, max_size=3)),
    st.tuples(st.builds("{}|exists".format, _text_field), st.booleans()),
    st.tuples(
        st.builds("{}|fieldref{}".format, _text_field, st.sampled_from(["", "|startswith", "|endswith"])),
        _text_field,
    ),
    st.tuples(st.builds("{}|fieldref|contains".format, _text_field), _text_field),
    st.tuples(
        st.builds("{}{}".format, _text_field, st.sampled_from(["|base64", "|wide|base64"])), without_wildcards
    ),
    st.tuples(st.builds("{}|base64offset|contains".format, _text_field), without_wildcards),
    st.tuples(st.builds("{}|utf16|base64offset|contains".format, _text_field), without_wildcards),
    st.tuples(st.builds("{}|neq".format, _text_field), values),
    st.tuples(st.just("ProcessId"), listed(numbers)),
    st.tuples(
        st.builds("ProcessId|{}".format, st.sampled_from(["gt", "gte", "lt", "lte"])), numbers | st.just(6.5)
    ),
    st.tuples(_text_field, listed(numbers)),
)
_maps = st.lists(items, min_size=1, max_size=3, unique_by=lambda item: item[0]).map(dict)
keywords = (
    st.lists(without_wildcards | st.sampled_from([r"\*", r"a\?"]), min_size=1, max_size=3) | without_wildcards
)
selections: st.SearchStrategy[Any] = st.one_of(_maps, st.lists(_maps, min_size=1, max_size=3), keywords)

names = ("sel_a", "sel_b", "filter", "other")
atoms = st.sampled_from([*names, "1 of sel_*", "all of sel_*", "1 of them", "all of them", "any of sel*"])
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds("not {}".format, inner),
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("{} and not {}".format, inner, inner),
        st.builds("{} or {}".format, inner, inner),
    ),
    max_leaves=5,
)
rules = st.builds(
    lambda made, condition: rule_of({**dict(zip(names, made, strict=True)), "condition": condition}),
    st.lists(selections, min_size=4, max_size=4),
    listed(conditions),
)


@settings(max_examples=120, deadline=None)
@given(rule=rules, made=st.lists(rows, min_size=1, max_size=5))
def test_process_creation(rule: dict[str, Any], made: list[Row]) -> None:
    events = [started(row) for row in made]
    assert by_us(rule, events) == by_sqlite(rule, events)


@settings(max_examples=120, deadline=None)
@given(item=items, made=st.lists(rows, min_size=1, max_size=8))
def test_one_item(item: tuple[str, Any], made: list[Row]) -> None:
    events = [started(row) for row in made]
    rule = rule_of({"s": dict([item]), "condition": "s"})
    assert by_us(rule, events) == by_sqlite(rule, events)


@settings(max_examples=60, deadline=None)
@given(
    words=st.lists(values.filter(lambda text: "a" in text and "?" not in text), min_size=1, max_size=2),
    line=texts.filter(bool),
)
def test_wildcards_in_keywords(words: list[str], line: str) -> None:
    """A keyword is looked for in each field by itself, so here there is but one that could hold it.

    Without "?": SQLite looks through all fields as one text, and finds a character in the next one.
    """
    rule = rule_of({"words": words, "condition": "words"})
    events = [started(("", line, "", "-", None, 1))]
    assert by_us(rule, events) == by_sqlite(rule, events)


_networks = st.sampled_from(
    ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.64/26", "192.0.2.77/32", "2001:db8::/32", "::1/128"]
)
network_items = st.one_of(
    st.tuples(st.just("DestinationIp|cidr"), listed(_networks)),
    st.tuples(st.just("DestinationIp"), listed(st.sampled_from([*ADDRESSES, "10.*", "192.0.2.?7"]))),
    st.tuples(st.just("DestinationIp|startswith"), st.sampled_from(["10.", "2001:DB8"])),
    st.tuples(st.just("DestinationPort"), listed(st.sampled_from([22, 443, "443", "4*"]))),
    st.tuples(st.just("DestinationPort|lt"), st.sampled_from([22, 23, 70000])),
    st.tuples(st.just("DestinationPort|neq"), st.sampled_from([22, 443])),
    st.tuples(
        st.just("DestinationHostname"), listed(st.sampled_from(["a_b.EXAMPLE", "*.example"]) | st.none())
    ),
    st.tuples(st.just("Initiated"), st.sampled_from(["true", "false", True, False])),
)


@settings(max_examples=100, deadline=None)
@given(
    selection=st.lists(network_items, min_size=1, max_size=3, unique_by=lambda item: item[0]).map(dict),
    made=st.lists(connections, min_size=1, max_size=8),
)
def test_network_connection(selection: dict[str, Any], made: list[tuple[str, int, str]]) -> None:
    events = [connected(*each) for each in made]
    rule = rule_of({"s": selection, "condition": "s"}, "network_connection")
    assert by_us(rule, events) == by_sqlite(rule, events)


# --- where the two differ, and why ------------------------------------------------------------------------


def both(detection: Mapping[str, Any], event: Event, category: str = "process_creation") -> tuple[bool, bool]:
    rule = rule_of({"s": detection, "condition": "s"}, category)
    return by_us(rule, [event])[0], by_sqlite(rule, [event])[0]


def test_all_of_a_family_is_not_the_other_family() -> None:
    """The backend writes 0.0.0.0/0 as "*", which is any text; a network has addresses of its own family."""
    selection = {"DestinationIp|cidr": "0.0.0.0/0"}
    assert both(selection, connected("192.0.2.1", 1), "network_connection") == (True, True)
    assert both(selection, connected("2001:db8::1", 1), "network_connection") == (False, True)


def test_an_empty_value_is_an_absent_one() -> None:
    """What '' and null mean is left to the target (rules specification, special values): our events have no
    empty fields, so that a rule that asks for '' means one that is not there."""
    nobody = started(("", None, "", "ada", None, 1))
    assert both({"Image": ""}, nobody) == (True, False)
    assert both({"Image": None}, nobody) == (True, True)


def test_a_keyword_stands_in_one_field() -> None:
    """The backend looks for it in one text of all of them."""
    rule = rule_of({"words": ["a*b"], "condition": "words"})
    events = [started(("a", "b", "", "-", None, 1)), started(("axb", "c", "", "-", None, 1))]
    assert by_us(rule, events) == [False, True]
    assert by_sqlite(rule, events) == [True, True]


def test_letters_beyond_ascii_have_a_case() -> None:
    """The specification compares values without regard to case; SQLite knows that of ASCII only."""
    assert both({"Image": "\u00c4"}, started(("\u00e4", None, "", "ada", None, 1))) == (True, False)
