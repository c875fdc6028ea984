"""Messages of protobuf without a schema."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracer.targets.grpc import below, encoded, fields, mapping, text

# As `protoc --encode` writes them: {1: 150}, {2: "testing"}, {3: {1: 150}}, and a map entry {6: {"a": "b"}}.
WRITTEN = bytes.fromhex("089601 120774657374696e67 1a03089601 32060a0161120162")


def test_what_protoc_writes() -> None:
    message = {1: 150, 2: "testing", 3: {1: 150}, 6: {1: "a", 2: "b"}}
    assert encoded(message) == WRITTEN
    read = fields(WRITTEN)
    assert (read[1], text(read, 2), below(read, 3), mapping(read, 6)) == (
        [150], "testing", {1: [150]}, {"a": "b"},
    )  # fmt: skip


def test_what_is_not_there() -> None:
    assert (text({}, 1), below({}, 1), mapping({}, 1)) == ("", {}, {})
    assert text({1: [5]}, 1) == ""


def test_fields_of_a_fixed_size_are_passed_over() -> None:
    assert fields(bytes.fromhex("09 0102030405060708 0d 01020304 1005"))[2] == [5]


@settings(deadline=None)
@given(st.dictionaries(st.integers(1, 100), st.lists(st.text(max_size=300), min_size=1)))
def test_text_comes_back(message: dict[int, list[str]]) -> None:
    found = fields(encoded(message))
    assert {number: [each.decode() for each in values] for number, values in found.items()} == message


@settings(deadline=None)
@given(st.binary(max_size=64))
def test_no_bytes_break_it(data: bytes) -> None:
    with suppress(OSError):
        fields(data)


@pytest.mark.parametrize("data", ["08", "0aff", "0b", "ffffffffffffffffffffff01"])
def test_what_is_none(data: str) -> None:
    with pytest.raises(OSError, match="no message"):
        fields(bytes.fromhex(data))
