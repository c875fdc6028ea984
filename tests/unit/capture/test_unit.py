"""The probes as BCC gets them, and the questions about them."""

from __future__ import annotations

import re

import pytest

from tracer.capture.bccsource import SOURCES
from tracer.capture.btf import Btf, BtfKind
from tracer.capture.core import OPTIONAL_PROGRAMS, PROGRAMS
from tracer.capture.fit import wanted
from tracer.capture.funcinfo import FunctionTypes
from tracer.capture.unit import Unit, layout_from


@pytest.fixture(scope="module")
def unit() -> Unit:
    return Unit(SOURCES)


class Anywhere:
    def struct_bytes(self, struct: str) -> int | None:
        return len(struct) * 100

    def offset(self, struct: str, field: str) -> int | None:
        return len(struct + field)

    def number(self, enum: str, name: str) -> int | None:
        return len(enum + name)


def test_every_map_is_made_by_the_loader(unit: Unit) -> None:
    text = "".join(path.read_text() for path in SOURCES.glob("*.[ch]"))
    assert sorted(unit.maps) == sorted(re.findall(r"^\} (\w+) SEC\(\"\.maps\"\);", text, re.MULTILINE))
    assert unit.maps["members"]["key"] == "u32"
    assert not re.search(r"^(static )?(const )?volatile ", text, re.MULTILINE), "LOADED or TABLE is missing"


def test_every_program_has_its_tracepoint(unit: Unit) -> None:
    traced = {each.name: each.target for each in unit.programs if each.kind == "tp_btf"}
    assert set(traced) >= {*PROGRAMS, *OPTIONAL_PROGRAMS}
    assert traced["on_exec"] == "sched_process_exec"
    assert {each.name for each in unit.programs} - set(traced) >= {"look_at_files", "snapshot", "sweep"}


def test_functions_that_are_verified_alone(unit: Unit) -> None:
    functions = {each.name: each.parameters for each in unit.functions}
    assert functions["walk_path"] == ("struct scratch", "", "")
    assert "stdio_kind" not in functions  # static


def test_the_text_is_the_same_every_time(unit: Unit) -> None:
    assert unit.text(Anywhere()) == Unit(SOURCES).text(Anywhere())


def test_a_layout_from_the_answers(unit: Unit) -> None:
    answers = {name: place for place, name in enumerate(unit.questions(), 1)}
    answers["bytes rb_fork"] = 64
    answers["bytes rb_connect peer.daddr"] = 16
    layout = layout_from(unit, answers)
    structs = layout["structs"]
    assert structs["fork"]["bytes"] == 64  # type: ignore[index]
    assert structs["fork"]["fields"][0] == ["head.time_ns", answers["rb_fork head.time_ns"], "Q"]  # type: ignore[index]
    assert ["peer.daddr", answers["rb_connect peer.daddr"], "16s"] in structs["connect"]["fields"]  # type: ignore[index]


def test_each_kernel_struct_is_asked_for_by_its_name(unit: Unit) -> None:
    fields = wanted(unit.kernel_h)
    assert {"f_ref", "f_count"} <= set(fields["file"])
    assert not any("___" in struct for struct in fields)


def test_types_of_functions_are_type_information() -> None:
    types = FunctionTypes()
    alone = types.verified_alone("walk_path", ("struct scratch", ""), {"struct scratch": 151568})
    btf = Btf(types.data())
    assert btf.find(BtfKind.FUNC, "walk_path") == alone
    assert btf.find(BtfKind.FUNC, "local") == types.local
    assert btf.size(btf.find(BtfKind.STRUCT, "scratch")) == 151568
