"""Sections of instructions -> programs: calls, callbacks, maps and variables find their targets."""

from __future__ import annotations

import struct

import pytest

from tracer.capture.link import SYMBOL, Place, Section
from tracer.errors import KernelError

EXIT = (0x95, 0, 0, 0)
NOTHING = (0xB7, 0, 0, 7)


def instructions(*each: tuple[int, int, int, int]) -> bytes:
    return b"".join(struct.pack("<BBhi", *one) for one in each)


def call(distance: int) -> tuple[int, int, int, int]:
    return (0x85, 1 << 4, 0, distance)


def load(value: int, high: int = 0) -> tuple[tuple[int, int, int, int], tuple[int, int, int, int]]:
    return (0x18, 1, 0, value), (0, 0, 0, high)


def test_a_program_takes_along_what_it_calls() -> None:
    code = instructions(
        *(NOTHING, EXIT),  # 0: another function
        *(NOTHING, NOTHING, EXIT),  # 2: called
        *(call(-4), EXIT),  # 5: the program
        *(NOTHING, EXIT),  # 7: nobody's
    )
    linked = Section(code, [5 * 8, 7 * 8]).program(5 * 8, {})
    assert linked.instructions == instructions(call(1), EXIT, NOTHING, NOTHING, EXIT)
    assert linked.functions == ((0, 5), (2, 2))


def test_a_function_is_taken_once_and_may_call_itself() -> None:
    code = instructions(call(1), EXIT, call(-1), call(0), EXIT)
    linked = Section(code, [0]).program(0, {})
    assert linked.functions == ((0, 0), (2, 2), (4, 4))
    assert linked.instructions == code


def test_a_callback() -> None:
    code = instructions(NOTHING, EXIT, *load(0), EXIT)
    linked = Section(code, [2 * 8]).program(2 * 8, {})
    assert linked.instructions == instructions((0x18, 1 | 4 << 4, 0, 2), (0, 0, 0, 0), EXIT, NOTHING, EXIT)


def test_maps_and_variables() -> None:
    code = instructions(*load(SYMBOL), *load(SYMBOL + 1), EXIT)
    linked = Section(code, [0]).program(0, {SYMBOL: Place(11), SYMBOL + 1: Place(13, 24)})
    assert linked.instructions == instructions(
        *((0x18, 1 | 1 << 4, 0, 11), (0, 0, 0, 0)), *((0x18, 1 | 2 << 4, 0, 13), (0, 0, 0, 24)), EXIT
    )


@pytest.mark.parametrize(("value", "high"), [(0x7000_0000, 0), (8, 1), (3, 0), (-1, 0)])
def test_a_number_stays_a_number(value: int, high: int) -> None:
    code = instructions(*load(value, high), EXIT, EXIT)
    assert Section(code, [0]).program(0, {}).instructions == code


def test_data_of_its_own_is_refused() -> None:
    with pytest.raises(KernelError, match="a constant into data"):
        Section(instructions(*load(8), EXIT), [0])
