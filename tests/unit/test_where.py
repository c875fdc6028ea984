"""The filter language: what it lets pass, and what it says of mistakes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.export_samples import SESSION, items
from tests.tui import scene
from tracer.events import Action, Event, Violation
from tracer.export.ecs import event_document, violation_document
from tracer.text import valid_unicode
from tracer.where import FIELDS, Field, Where, WhereError, field_named, quoted
from tracer.where.fields import texts

STORY = scene.rome()
REFUSED = next(event for event in STORY.events if event.error and event.action is Action.CONNECT)
BROKEN = {violation.event.sequence: violation for violation in STORY.violations}


def passing(text: str) -> list[Event]:
    where = Where(text)
    return [
        event
        for event in STORY.events
        if where(event, [BROKEN[event.sequence]] if event.sequence in BROKEN else [])
    ]


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("", True),
        ("   ", True),
        ("connect", True),
        ("CONNECT 6379", True),
        ("connect 443", False),
        ("econnrefused failure", True),
        ("!connect", False),
        ("not connect", False),
        ("-connect", False),
        ("connect !443", True),
        ("4330", True),
        ("exe:python3", True),
        ("exe:PYTHON*", True),
        ("exe:/usr/bin/python3", True),
        ("exe:/usr/*", True),
        ("exe:/bin/python3", False),
        ("exe:bin", False),
        ("exe~bin/pyth", True),
        ("dest.port:6379", True),
        ("port:22,6379", True),
        ("port:6000..7000", True),
        ("port:..1024", False),
        ("port>=6379 port<=6379", True),
        ("port>6379 or port<6379", False),
        ("port!=6379", False),
        ("port>6K", True),
        ("ip:10.0.0.0/24", True),
        ("ip:10.0.1.0/24", False),
        ("ip:10.0.0.*", True),
        ("path:*", False),
        ("not path:*", True),
        ("port:*", True),
        ("(exe:curl or exe:python3) and not (port:22 or port:80)", True),
        ("exe:curl or exe:python3 port:22", False),
        ("parent:python3 ancestor:systemd", True),
        ('cmd:"python3 -c import*"', False),
        ('cmd~"import socket; [probe(h)"', True),
        ("category=network", True),
    ],
)
def test_one_event(text: str, *, passes: bool) -> None:
    assert Where(text)(REFUSED) is passes


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("level:critical", 1),
        ("level>=high rule:*tunnel*", 1),
        ("technique:T1496", 1),
        ("level<low", 1),
        ('rule:"Reverse SSH tunnel"', 1),
        ("tunnel", 1),
        ("path:/home/* action:file_write", 1),
        ("written>1M", 3),
        ("message~probed", 11),
    ],
)
def test_of_a_session(text: str, number: int) -> None:
    assert len(passing(text)) == number


@pytest.mark.parametrize(
    ("text", "says", "place"),
    [
        ("exec:curl", "no field exec; near: ", 0),
        ("exe:curl prot:22", "no field prot", 9),
        ("exe:", "needs a value", 0),
        ("port:ssh", "'ssh' is none", 0),
        ("level>=hihg", "no level", 0),
        ("exe>curl", "is no number", 0),
        ("ip:10.0.0.0/99", "no address", 0),
        ("(exe:curl", 'without its ")"', 0),
        ("exe:curl)", 'without its "("', 8),
        ("exe:curl or", "missing at the end", 11),
        ("and", "where a term belongs", 0),
        ("not", "missing at the end", 3),
        ("(" * 80 + "x" + ")" * 80, "too many brackets", 51),
    ],
)
def test_mistakes_are_told_with_their_place(text: str, says: str, place: int) -> None:
    with pytest.raises(WhereError, match="filter, at character") as caught:
        Where(text)
    assert says in str(caught.value)
    assert caught.value.place == place


def test_a_filter_without_terms_is_none() -> None:
    assert not Where("  ")
    assert Where("x")


@settings(deadline=None)
@given(st.text())
def test_any_text_is_a_filter_or_a_mistake(text: str) -> None:
    try:
        where = Where(text)
    except WhereError as error:
        place = error.place
    else:
        place = 0
        where(REFUSED)
    assert 0 <= place <= len(text)


@settings(deadline=None)
@given(st.text(min_size=1))
def test_a_quoted_value_stands_for_itself(text: str) -> None:
    event = STORY.event(scene.process(9, None, "x", executable=f"/bin/{text}", name=text), Action.FORK)
    assert Where(f"name:{quoted(text)}")(event)
    assert not Where(f"name:{quoted(text + 'x')}")(event)


def test_no_name_is_taken_twice() -> None:
    names = [name.lower() for field in FIELDS for name in (field.name, *field.short)]
    assert len(names) == len(set(names))
    assert all(field_named(name) for name in names)


# The first ECS calls the address of an end; the second the export fills in from the session.
OWN_NAMES = {"socket.path", "rubicon.target"}


@pytest.mark.parametrize(
    "field", [each for each in FIELDS if each.name not in OWN_NAMES], ids=lambda f: f.name
)
def test_fields_are_those_of_the_export(field: Field) -> None:
    """Whatever an exported document has under that name is what the filter reads."""
    name = field.name
    compared = 0
    for event, violations in items():
        documents = [violation_document(each, SESSION) for each in violations] or [
            event_document(event, SESSION)
        ]
        for document, violation in zip(documents, violations or [None], strict=True):
            exported = _exported(document, name)
            if exported:
                compared += 1
                broken: list[Violation] = [violation] if violation else []
                read = texts(field.read(event, broken))
                assert [valid_unicode(each) for each in read][: len(exported)] == exported, event
    assert compared


def _exported(document: object, name: str) -> list[str]:
    head, _dot, rest = name.partition(".")
    if isinstance(document, list):
        return [text for each in document for text in _exported(each, name)]
    if not isinstance(document, dict) or head not in document:
        return []
    value = document[head]
    if rest:
        return _exported(value, rest)
    if head == "category":
        return [str(value[0])]
    return [str(each) for each in (value if isinstance(value, list) else [value]) if each not in ("", None)]
