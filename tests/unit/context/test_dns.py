"""DNS messages: those that are sound, those that are cut, and what is none."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracer.context.dns import parse_datagram, parse_stream, resolved
from tracer.context.protocols import classify
from tracer.events import Answer


def name(text: str) -> bytes:
    return b"".join(bytes([len(each)]) + each.encode() for each in text.split(".") if each) + b"\0"


def message(
    question: bytes, *answers: bytes, flags: int = 0x8180, kind: int = 1, counts: tuple[int, int] = (1, -1)
) -> bytes:
    count = len(answers) if counts[1] < 0 else counts[1]
    head = struct.pack("!6H", 7, flags, counts[0], count, 0, 0)
    return head + question + struct.pack("!2H", kind, 1) + b"".join(answers)


def record(owner: bytes, kind: int, data: bytes) -> bytes:
    return owner + struct.pack("!2HIH", kind, 1, 60, len(data)) + data


BACK = b"\xc0\x0c"  # to the name in question
ADDRESS = record(BACK, 1, bytes([192, 0, 2, 7]))
QUESTION = message(name("PyPI.org"), flags=0x0100)


def test_question() -> None:
    found = parse_datagram(QUESTION)
    assert found is not None
    assert (found.id, found.is_answer, found.name, found.type, found.question_class) == (
        7, False, "PyPI.org", "A", "IN",
    )  # fmt: skip
    assert (found.answers, found.response_code, resolved(found)) == ((), "", ())


def test_answers() -> None:
    found = parse_datagram(
        message(
            name("a.example"),
            record(BACK, 5, name("b.example")),
            record(name("B.example"), 28, socket.inet_pton(socket.AF_INET6, "2001:db8::7")),
            record(name("other.example"), 1, bytes([192, 0, 2, 9])),
            record(BACK, 16, b"\x03one\x05t\\\x1bwo"),
            record(BACK, 65, b"\1\2"),
            ADDRESS,
        )
    )
    assert found is not None
    assert found.answers[0] == Answer("a.example", "CNAME", "IN", 60, "b.example")
    assert [(each.type, each.data) for each in found.answers[3:]] == [
        ("TXT", "one t\\092\\027wo"),
        ("HTTPS", "0102"),
        ("A", "192.0.2.7"),
    ]
    assert resolved(found) == ("2001:db8::7", "192.0.2.7")  # not what was never asked for


def test_refused_answers_give_no_address() -> None:
    found = parse_datagram(message(name("x"), ADDRESS, flags=0x8183))
    assert found is not None
    assert (found.response_code, resolved(found)) == ("NXDOMAIN", ())


def test_names_are_escaped() -> None:
    found = parse_datagram(message(b"\x06a.\x1b\xff b\0"))
    assert found is not None
    assert found.name == "a\\046\\027\\255\\032b"
    root = parse_datagram(message(b"\0"))
    assert root is not None
    assert root.name == "."


@pytest.mark.parametrize("size", range(len(message(name("a"), ADDRESS, ADDRESS))))
def test_cut(size: int) -> None:
    whole = message(name("a"), ADDRESS, ADDRESS)
    found = parse_datagram(whole[:size])
    if size < 12 + 3 + 4:
        assert found is None
    else:
        assert found is not None
        assert len(found.answers) == (size - 19) // 16


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        message(b"\xc0\x0c"),  # a name that is itself
        message(b"\xc0\x20" + bytes(30)),  # forward
        message(b"\x40" + bytes(70)),  # of a kind that nobody uses
        message(b"\x3f" + b"a" * 10),
        message(
            b"\x3f" + b"a" * 63 + b"\x3f" + b"a" * 63 + b"\x3f" + b"a" * 63 + b"\x3f" + b"a" * 63 + b"\0"
        ),
        message(name("a"), counts=(2, 0)),
        message(name("a"), counts=(0, 0)),
        message(name("a"), flags=0x0140),  # a reserved bit
        message(name("a"), flags=0x7800),  # no such operation
        message(name("a"), ADDRESS, flags=0x0100),  # a question with answers
    ],
)
def test_no_message(data: bytes) -> None:
    assert parse_datagram(data) is None


def test_loops_of_pointers_end() -> None:
    looping = message(name("a"), record(b"\x01b\xc0\x13", 1, bytes(4)))
    found = parse_datagram(looping)
    assert found is not None
    assert found.answers == ()


def test_stream() -> None:
    framed = struct.pack("!H", len(QUESTION)) + QUESTION
    for data, length in ((framed, len(framed)), (QUESTION, len(QUESTION)), (framed[:-1], len(framed))):
        found = parse_stream(data, length)
        assert found is None or found.name == "PyPI.org"
    assert parse_stream(framed, len(framed)) is not None
    assert parse_stream(b"\0\1", 2) is None


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=600) | st.binary(max_size=80).map(lambda data: message(name("a"), data)))
def test_hostile_bytes(data: bytes) -> None:
    for found in (parse_datagram(data), parse_stream(data, len(data))):
        if found is not None:
            assert found.name.isascii()
            assert found.name.isprintable()
            assert len(found.answers) <= 64
            assert all(each.data.isprintable() and len(each.data) <= 1100 for each in found.answers)
    for stream in (True, False):
        assert classify(data, stream=stream).protocol
