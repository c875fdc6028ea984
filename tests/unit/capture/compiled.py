"""What the programs of a BPF object need, from the compiled code: stack, size, and how they loop.

ELF: elf(5). Instructions: Documentation/bpf/standardization/instruction-set.rst. What counts, calls and
callbacks: check_max_stack_depth_subprog() of kernel/bpf/verifier.c. A frame counts in steps of 32 bytes
(of 16 since v6.6, where the code is compiled; since v6.13 large ones lie elsewhere).

Loops: check_cfg() there, before v6.7 (10e14e9652bf), goes through the code in depth. Where it comes back to
an instruction of the way that it is on, only a jump may have led there, not the instruction before.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

STEP_BYTES = 32
_SYMTAB, _REL, _EXECINSTR, _FUNC = 2, 9, 4, 2
_CALL, _LOAD_64, _MOVE, _ADD = 0x85, 0x18, 0xBF, 0x07
_GOTO, _EXIT, _JUMPS = 0x05, 0x95, (5, 6)  # instruction classes JMP, JMP32
_STORES_AND_LOADS = (1, 2, 3)  # instruction classes LDX, ST, STX
_FRAME = 10


class Section(NamedTuple):
    name: str
    kind: int
    flags: int
    data: bytes
    link: int
    info: int


class Function(NamedTuple):
    name: str
    section: int
    begin: int
    end: int


class Chain(NamedTuple):
    """The deepest chain of calls of a program."""

    bytes: int
    frames: tuple[tuple[str, int], ...]


def chains(path: Path) -> dict[str, Chain]:
    """By program."""
    return Code(path.read_bytes()).chains()


def instructions(path: Path) -> dict[str, int]:
    """By program, with all functions that it may call: what the kernel is given to verify."""
    return Code(path.read_bytes()).instructions()


def loops(path: Path) -> list[str]:
    """Functions with a loop that older kernels refuse."""
    return Code(path.read_bytes()).loops()


class Code:
    """The functions of an object, their frames and whom they call."""

    def __init__(self, elf: bytes) -> None:
        self._sections = list(_sections(elf))
        self._symbols = self._read_symbols()
        self._functions = sorted(self._read_functions(), key=lambda each: (each.section, each.begin))
        self._targets = self._read_relocations()

    def chains(self) -> dict[str, Chain]:
        return {each.name: self._deepest(each) for each in self._programs()}

    def instructions(self) -> dict[str, int]:
        return {
            program.name: sum((each.end - each.begin) // 8 for each in self._reached(program))
            for program in self._programs()
        }

    def _programs(self) -> list[Function]:
        return [each for each in self._functions if self._sections[each.section].name != ".text"]

    def _reached(self, program: Function) -> set[Function]:
        """The program and all that it calls, directly or not."""
        reached, new = {program}, [program]
        while new:
            called = set(self._calls(new.pop())) - reached
            reached |= called
            new += called
        return reached

    def loops(self) -> list[str]:
        return [each.name for each in self._functions if self._has_loop_without_jump(each)]

    def _has_loop_without_jump(self, function: Function) -> bool:
        next_of = self._next_of(function)
        on_the_way, seen = [function.begin], {function.begin}
        steps = {function.begin: iter(next_of[function.begin])}
        while on_the_way:
            at = on_the_way[-1]
            for target, is_jump in steps[at]:
                if target in on_the_way and not is_jump:
                    return True
                if target not in seen:
                    seen.add(target)
                    on_the_way.append(target)
                    steps[target] = iter(next_of[target])
                    break
            else:
                on_the_way.pop()
        return False

    def _next_of(self, function: Function) -> dict[int, list[tuple[int, bool]]]:
        """Where each instruction leads, and whether it is a jump, in the order that the kernel takes."""
        found = {}
        for at, code, _dst, _src, offset, _immediate in self._instructions(function):
            behind, target = at + (16 if code == _LOAD_64 else 8), at + 8 * (offset + 1)
            if code & 7 not in _JUMPS or code == _CALL:
                found[at] = [(behind, False)]
            elif code in (_GOTO, _EXIT):
                found[at] = [(target, True)] if code == _GOTO else []
            else:
                found[at] = [(behind, True), (target, True)]
        return found

    def _deepest(self, function: Function) -> Chain:
        @cache
        def below(function: Function) -> Chain:
            own = max(self._frame(function), 1)
            own += -own % STEP_BYTES
            deepest = max((below(each) for each in set(self._calls(function))), default=Chain(0, ()))
            return Chain(own + deepest.bytes, ((function.name, own), *deepest.frames))

        return below(function)

    def _frame(self, function: Function) -> int:
        """Bytes below the frame pointer, by every place that is named."""
        lowest, copies = 0, set()
        for _at, code, dst, src, offset, immediate in self._instructions(function):
            if code & 7 in _STORES_AND_LOADS and (src if code & 7 == 1 else dst) == _FRAME:
                lowest = min(lowest, offset)
            if code == _MOVE and src == _FRAME:
                copies.add(dst)
            elif code == _ADD and dst in copies:
                lowest = min(lowest, immediate)
                copies.discard(dst)
            elif code & 7 not in (2, 3):  # no store: the register is another's from here on
                copies.discard(dst)
        return -lowest

    def _calls(self, function: Function) -> Iterator[Function]:
        for at, code, _dst, src, _offset, immediate in self._instructions(function):
            pseudo_call, pseudo_function = code == _CALL and src == 1, code == _LOAD_64
            if not pseudo_call and not pseudo_function:
                continue
            target = self._targets.get((function.section, at))
            if pseudo_call and target is None:
                yield self._function_at(function.section, at + 8 * (immediate + 1))
            elif target is not None and self._sections[target[0]].flags & _EXECINSTR:
                section, value, is_section = target
                if is_section:
                    value += immediate if pseudo_function else 8 * (immediate + 1)
                yield self._function_at(section, value)

    def _function_at(self, section: int, at: int) -> Function:
        place = bisect_right([(each.section, each.begin) for each in self._functions], (section, at)) - 1
        return self._functions[place]

    def _instructions(self, function: Function) -> Iterator[tuple[int, int, int, int, int, int]]:
        data = self._sections[function.section].data
        at = function.begin
        while at < function.end:
            code, registers, offset, immediate = struct.unpack_from("<BBhi", data, at)
            yield at, code, registers & 15, registers >> 4, offset, immediate
            at += 16 if code == _LOAD_64 else 8

    # ELF

    def _read_symbols(self) -> list[tuple[str, int, int, int, int]]:
        """Name, type, section, value, size."""
        (table,) = [each for each in self._sections if each.kind == _SYMTAB]
        names = self._sections[table.link].data
        return [
            (_text(names, name), info & 15, section, value, size)
            for name, info, _other, section, value, size in struct.iter_unpack("<IBBHQQ", table.data)
        ]

    def _read_functions(self) -> Iterator[Function]:
        for name, kind, section, value, size in self._symbols:
            if kind == _FUNC:
                yield Function(name, section, value, value + size)

    def _read_relocations(self) -> dict[tuple[int, int], tuple[int, int, bool]]:
        """What an instruction names: section, value, whether that is the section itself; by its place."""
        found = {}
        for section in self._sections:
            if section.kind != _REL:
                continue
            for at, info in struct.iter_unpack("<QQ", section.data):
                name, kind, target, value, _size = self._symbols[info >> 32]
                if target < len(self._sections):
                    found[section.info, at] = (target, value, kind == 3 or not name)
        return found


def _sections(elf: bytes) -> Iterator[Section]:
    (table,) = struct.unpack_from("<Q", elf, 40)
    size, count, names_at = struct.unpack_from("<HHH", elf, 58)
    heads = [struct.unpack_from("<IIQQQQIIQQ", elf, table + i * size) for i in range(count)]
    names = elf[heads[names_at][4] :]
    for name, kind, flags, _address, offset, length, link, info, _align, _entry in heads:
        yield Section(_text(names, name), kind, flags, elf[offset : offset + length], link, info)


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode()
