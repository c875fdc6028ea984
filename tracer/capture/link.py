"""From the instructions that BCC gives to programs the kernel takes: what libbpf does for an object file.

All functions lie in one section, so a call holds the distance to its target, and the address of a callback
its place in the section. The address of a map or a variable is a number from `SYMBOL` on. A program is what
it can reach, put together anew: the program itself, then its functions.

Instructions: Documentation/bpf/standardization/instruction-set.rst and include/uapi/linux/bpf.h in the
kernel.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from tracer.errors import KernelError

SYMBOL = 0x7E570000
INSTRUCTION_BYTES = 8
_FORMAT = struct.Struct("<BBhi")
_LOAD_WIDE, _CALL, _EXIT, _JUMP = 0x18, 0x85, 0x95, 0x05
_LOCAL_CALL = 1  # BPF_PSEUDO_CALL, in the place of a source register
_MAP, _MAP_VALUE, _FUNCTION = 1, 2, 4  # BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE, BPF_PSEUDO_FUNC


@dataclass(frozen=True, slots=True)
class Place:
    """What a name stands for: a map, or a variable, which is in the first value of a map."""

    map_fd: int
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """`functions` are where its functions begin here, and where they did in the section, in instructions."""

    instructions: bytes
    functions: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Instruction:
    code: int
    target: int
    source: int
    offset: int
    value: int

    def packed(self) -> bytes:
        return _FORMAT.pack(self.code, self.target | self.source << 4, self.offset, self.value)


class Section:
    """The compiled section. `places` are byte offsets of functions in it, all that are not called among them.

    Raises KernelError if it is not that.
    """

    def __init__(self, code: bytes, places: Iterable[int]) -> None:
        self._code = [_unpacked(*each) for each in _FORMAT.iter_unpack(code)]
        self._calls = list(self._references())
        starts = {0, *(place // _FORMAT.size for place in places), *(target for _at, target in self._calls)}
        ordered = sorted(starts)
        self._end = dict(zip(ordered, [*ordered[1:], len(self._code)], strict=True))

    def _references(self) -> Iterator[tuple[int, int]]:
        """(place of an instruction, function it names)."""
        at = 0
        while at < len(self._code):
            each = self._code[at]
            if each.code == _CALL and each.source == _LOCAL_CALL:
                yield at, at + 1 + each.value
            elif self._is_callback(at):
                yield at, self._callback(each)
            at += 2 if each.code == _LOAD_WIDE else 1

    def _is_callback(self, at: int) -> bool:
        each = self._code[at]
        if each.code != _LOAD_WIDE or each.source or self._code[at + 1].value:
            return False
        return each.value % _FORMAT.size == 0 and 0 <= each.value < len(self._code) * _FORMAT.size

    def _callback(self, each: _Instruction) -> int:
        start = each.value // _FORMAT.size
        if start and self._code[start - 1].code not in (_EXIT, _JUMP):
            raise KernelError("BCC compiled a constant into data of its own, which nothing can load")
        return start

    def program(self, place: int, names: Mapping[int, Place]) -> Program:
        """The program at a place; `names` says what the numbers from SYMBOL on stand for."""
        functions = self._reached(place // _FORMAT.size)
        moved, length = {}, 0
        for start in functions:
            moved[start] = length
            length += self._end[start] - start
        code = b"".join(each.packed() for start in functions for each in self._linked(start, moved, names))
        return Program(code, tuple((here, there) for there, here in moved.items()))

    def _reached(self, entry: int) -> list[int]:
        found, waiting = [entry], [entry]
        while waiting:
            start = waiting.pop()
            end = self._end[start]
            for at, target in self._calls:
                if start <= at < end and target not in found:
                    found.append(target)
                    waiting.append(target)
        return found

    def _linked(
        self, start: int, moved: Mapping[int, int], names: Mapping[int, Place]
    ) -> Iterator[_Instruction]:
        at, end = start, self._end[start]
        while at < end:
            each, here = self._code[at], moved[start] + at - start
            if each.code == _CALL and each.source == _LOCAL_CALL:
                yield replace(each, value=moved[at + 1 + each.value] - here - 1)
            elif each.code == _LOAD_WIDE:
                yield from self._load(at, here, moved, names)
                at += 1
            else:
                yield each
            at += 1

    def _load(
        self, at: int, here: int, moved: Mapping[int, int], names: Mapping[int, Place]
    ) -> Iterator[_Instruction]:
        first, second = self._code[at : at + 2]
        place = names.get(first.value) if not second.value and not first.source else None
        if place is None:
            if self._is_callback(at):
                first = replace(first, source=_FUNCTION, value=moved[self._callback(first)] - here - 1)
        elif place.offset is None:
            first = replace(first, source=_MAP, value=place.map_fd)
        else:
            first = replace(first, source=_MAP_VALUE, value=place.map_fd)
            second = replace(second, value=place.offset)
        yield first
        yield second


def _unpacked(code: int, registers: int, offset: int, value: int) -> _Instruction:
    return _Instruction(code, registers & 15, registers >> 4, offset, value)
