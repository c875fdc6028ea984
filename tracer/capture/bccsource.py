"""The probes on the running kernel, compiled by BCC when they are wanted: neither a built object nor CO-RE.

They are raw tracepoints, which but for one (`_WANT_TYPES`) need no type information (BTF) of the kernel.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from tracer.capture.compiled import Compiled, compile_unit
from tracer.capture.core import OPTIONAL_PROGRAMS, unseen
from tracer.capture.fit import Layouts
from tracer.capture.funcinfo import FunctionTypes
from tracer.capture.guard import CELL_ELEMENTS
from tracer.capture.layout import check_enums
from tracer.capture.libbpf import run_program
from tracer.capture.link import SYMBOL, Place, Section
from tracer.capture.link import Program as Linked
from tracer.capture.probes import Probes, ProbeSource
from tracer.capture.rawbpf import (
    CGROUP,
    RAW_TRACEPOINT,
    RawMap,
    attach,
    attach_cgroup,
    ids_of,
    load_program,
    load_types,
    possible_cpus,
)
from tracer.capture.unit import FILL_TABLES, Program, Unit, layout_from
from tracer.errors import KernelError

UNSEEN_BY_BCC = ("what was open before the attach in a thread with a descriptor table of its own",)
SOURCES = Path(__file__).resolve().parents[2] / "probes"
_WANT_TYPES = frozenset({"on_received"})  # bpf_task_pt_regs()
_DATA = "variables"  # the map that holds them
_ARRAY = 2  # enum bpf_map_type
_FIRST = bytes(4)  # the key of its only element
_ALIGNMENT = 8


class BccProbes(Probes):
    """See `probes.Probes`. Raises KernelError when they cannot be compiled or loaded."""

    def __init__(
        self, layouts: Layouts, ring_bytes: tuple[int, int] | None, folder: Path, *, guarding: bool
    ) -> None:
        self._unit = Unit(folder)
        self._left_out = frozenset() if layouts.typed else _WANT_TYPES
        self._compiled = compile_unit(self._unit, layouts)
        self._maps: dict[str, RawMap] = {}
        self._programs: dict[str, int] = {}
        self._links: list[int] = []
        self.attached: list[str] = []
        self.hooks: tuple[str, ...] = ()
        self.no_hooks = "the BCC loader has no programs for it"
        self.abi: dict[str, Any] = layout_from(self._unit, self._answers)
        self.cpus = possible_cpus()
        enums = self._unit.enums()
        self.losses = {name: self._answers[name] for name in (*enums["rb_kind"], *enums["rb_loss"])}
        try:
            self._check(enums)
            sizes = dict(zip(("critical", "bulk"), ring_bytes or (), strict=False))
            self._make_maps(sizes | ({"path_cells": CELL_ELEMENTS} if guarding else {}))
            self._load_programs(guarding=guarding)
            self._attach()
        except BaseException:
            self.close()
            raise

    @property
    def _answers(self) -> Any:
        return self._compiled.answers

    def _check(self, enums: dict[str, list[str]]) -> None:
        check_enums(
            {name: {each: self._answers[each] for each in enums[f"rb_{name}"]} for name in ("kind", "flag")}
        )

    # Maps and variables

    def _make_maps(self, sizes: dict[str, int]) -> None:
        entries = {"losses": self.cpus, "scratches": self.cpus + 1, **sizes}
        for name in self._unit.maps:
            kind, key, value, limit, flags = (
                self._answers.get(f"{name} {field}", 0)
                for field in ("type", "key", "value", "max_entries", "map_flags")
            )
            self._maps[name] = RawMap(name, kind, (key, value), entries.get(name, limit), flags)
        self._offsets, size = {}, 0
        for name in self._unit.variables:
            self._offsets[name] = size
            size += -(-self._answers[f"bytes {name}"] // _ALIGNMENT) * _ALIGNMENT
        self._maps[_DATA] = RawMap(_DATA, _ARRAY, (4, size), 1)

    def _places(self) -> dict[int, Place]:
        found = {}
        for number, name in enumerate(self._unit.symbols, SYMBOL):
            fd = self._maps[name if name in self._unit.maps else _DATA].fd
            found[number] = Place(fd, self._offsets.get(name))
        return found

    def map(self, name: str) -> RawMap:
        return self._maps[name]

    def variable(self, name: str) -> bytes:
        begin = self._offsets[name]
        return self._maps[_DATA].value(_FIRST)[begin : begin + self._answers[f"bytes {name}"]]

    def set_variable(self, name: str, value: bytes) -> None:
        data = bytearray(self._maps[_DATA].value(_FIRST))
        data[self._offsets[name] : self._offsets[name] + len(value)] = value
        self._maps[_DATA].update(_FIRST, bytes(data))

    # Programs

    def _load_programs(self, *, guarding: bool) -> None:
        loader = _ProgramLoader(self._unit, self._compiled, self._places())
        try:
            self._programs[FILL_TABLES] = loader.load(FILL_TABLES, RAW_TRACEPOINT)
            for each in self._unit.programs:
                if each.name in self._left_out:
                    continue
                if not each.kind.startswith("cgroup"):
                    self._programs[each.name] = loader.load(each.name, RAW_TRACEPOINT)
                elif guarding:
                    self._programs[each.name] = loader.load(each.name, CGROUP[each.target])
        finally:
            loader.close()
        self.run(FILL_TABLES)
        self.run("introduce")
        self.set_variable("user_slot", self.cpus.to_bytes(4, "little"))

    def _attach(self) -> None:
        for program in self._unit.programs:
            if program.kind == "tp_btf" and program.name in self._programs:
                self._attach_one(program)

    def _attach_one(self, program: Program) -> None:
        for tracepoint in OPTIONAL_PROGRAMS.get(program.name, (program.target,)):
            link = attach(self._programs[program.name], tracepoint)
            if link is not None:
                self._links.append(link)
                self.attached.append(program.name)
                return
        if program.name not in OPTIONAL_PROGRAMS:
            raise KernelError(f"this kernel has no tracepoint {program.target}")

    def attach(self, program: str) -> None:
        raise KernelError(f"{program}: {self.no_hooks}")

    def attach_cgroup(self, program: str, descriptor: int) -> None:
        (target,) = [each.target for each in self._unit.programs if each.name == program]
        self._links.append(attach_cgroup(self._programs[program], descriptor, CGROUP[target][1]))

    def look(self, program: str) -> int:
        return run_program(self._programs[program], program)

    def ids(self) -> dict[str, list[int]]:
        maps = [each.fd for each in self._maps.values()]
        return {
            kind: ids_of(fds)
            for kind, fds in (("programs", self._programs.values()), ("maps", maps), ("links", self._links))
        }

    def run(self, program: str) -> None:
        run_program(self._programs[program], program)

    def detach(self) -> None:
        while self._links:
            os.close(self._links.pop())

    def close(self) -> None:
        self.detach()
        while self._programs:
            os.close(self._programs.popitem()[1])
        for each in self._maps.values():
            each.close()


class _ProgramLoader:
    """Links and loads programs of one unit."""

    def __init__(self, unit: Unit, compiled: Compiled, places: dict[int, Place]) -> None:
        self._answers, self._places = compiled.answers, places
        sizes = {name.removeprefix("bytes "): value for name, value in self._answers.items()}
        types = FunctionTypes()
        alone = {self._place(each.name): each for each in unit.functions}
        self._types = {
            place // _ALIGNMENT: types.verified_alone(each.name, each.parameters, sizes)
            for place, each in alone.items()
        }
        self._local = types.local
        entries = [self._place(name) for name in unit.entries]
        self._section = Section(compiled.code, [*entries, *alone, self._answers["place rubicon"]])
        self._types_fd = load_types(types.data())

    def _place(self, name: str) -> int:
        return int(self._answers[f"place {name}"])

    def load(self, name: str, kind: tuple[int, int]) -> int:
        """A descriptor of the program; `kind` as in `rawbpf`."""
        linked: Linked = self._section.program(self._place(name), self._places)
        functions = b"".join(
            here.to_bytes(4, "little") + self._types.get(there, self._local).to_bytes(4, "little")
            for here, there in linked.functions
        )
        return load_program(name, kind, linked.instructions, self._types_fd, functions)

    def close(self) -> None:
        with suppress(OSError):
            os.close(self._types_fd)


class BccSource(ProbeSource):
    """See `Source`. Raises KernelError or PrivilegeError when the probes cannot be loaded.

    layouts     where the kernel keeps what
    ring_bytes  sizes of the critical and the bulk ring; powers of two, at least a page
    guarding    also load what refuses, or kills at the act; `cgroups` is where version 2 is mounted
    """

    loader = "bcc"
    tier = "B"

    def __init__(
        self,
        layouts: Layouts,
        *,
        ring_bytes: tuple[int, int] | None = None,
        guarding: bool = False,
        cgroups: Path | None = None,
    ) -> None:
        probes = BccProbes(layouts, ring_bytes, SOURCES, guarding=guarding)
        self.unseen = (*unseen(self.tier, probes.attached), *UNSEEN_BY_BCC)
        super().__init__(probes, guarding=guarding, cgroups=cgroups)
