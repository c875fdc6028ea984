"""The probes as one text for BCC, and what has to be asked of the compiler about them.

BCC gives the instructions of functions and nothing else. So the text ends with a function, never run, that
loads one constant after another (`VALUE`): where each program and function is, what each map is made of,
where each field of a record lies. The answers come back in the order of the questions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tracer.capture.cstructs import Field, enums, structs, without_comments
from tracer.capture.fit import Layouts, fitted
from tracer.capture.link import SYMBOL

SECTION = ".bpf.fn.rubicon"  # BCC gives out a function by this prefix and its name
FILL_TABLES = "fill_tables"
OWN_PLACE = "place rubicon"  # of the function with the answers; BCC knows that itself
_MAP = re.compile(r"^LOADED struct \{\n(.*?)^\} (\w+) SEC\(\"\.maps\"\);", re.MULTILINE | re.DOTALL)
_MAP_FIELD = re.compile(r"__(?:uint|type)\((\w+), (.+)\);")
_VARIABLE = re.compile(r"^LOADED (?:const )?volatile (?:struct )?\w+ (\w+);", re.MULTILINE)
_TABLE = re.compile(r"^TABLE\(\w+, (\w+), ([^,]+),", re.MULTILINE)
_PROGRAM = re.compile(
    r"^SEC\(\"(tp_btf|raw_tp|cgroup(?:_skb)?)/(\w+)\"\)\nint (?:BPF_PROG\((\w+)|(\w+)\((.*?)\)$)",
    re.MULTILINE,
)
_FUNCTION = re.compile(r"^__noinline \w+ (\w+)\((.*?)\)\n\{", re.MULTILINE | re.DOTALL)
_LEFT_OUT = re.compile(r"^#ifndef RUBICON_BCC\n#include \"(.*?)\"", re.MULTILINE)
_CODES = {"__u8": "B", "__u16": "H", "__u32": "I", "__u64": "Q", "__s32": "i", "__s64": "q"}
_MAP_NUMBERS = ("type", "max_entries", "map_flags")

_HEAD = f"""
#define RUBICON_BCC 1
#define BCC_SEC(name) __attribute__((section(name), used))
#define VALUE(value) asm volatile("r0 = %0 ll" : : "i"(value));
#pragma clang attribute push(__attribute__((section("{SECTION}"))), apply_to = function)
"""
# The last function is the last that the compiler comes upon, so the one after it is where the section ends.
_TAIL = """
static __attribute__((noinline)) int rubicon_end(void) { return 0; }
static __attribute__((noinline)) int rubicon_last(void) { VALUE(rubicon_end) return 0; }
int rubicon(void *ctx)
{
%s
VALUE(rubicon_last)
	return 0;
}
#pragma clang attribute pop
"""


@dataclass(frozen=True, slots=True)
class Program:
    """`kind` is tp_btf, cgroup, cgroup_skb, or raw_tp for what user space runs; `parameters` as defined."""

    name: str
    kind: str
    target: str
    parameters: str


@dataclass(frozen=True, slots=True)
class Function:
    """One that the kernel verifies on its own; `parameters` are the types behind pointers, or ""."""

    name: str
    parameters: tuple[str, ...]


class Unit:
    """The sources in a folder. Raises OSError when they cannot be read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.kernel_h = (folder / "kernel.h").read_text("ascii")
        self._abi_h = without_comments((folder / "abi.h").read_text("ascii"))
        left_out = _LEFT_OUT.findall((folder / "rubicon.bpf.c").read_text("ascii"))
        paths = [path for path in sorted(folder.glob("*.[ch]")) if path.name not in left_out]
        self.sources = text = without_comments("\n".join(path.read_text("ascii") for path in paths))
        self.maps = {name: _map_fields(body) for body, name in _MAP.findall(text)}
        self.tables: dict[str, str] = dict(_TABLE.findall(text))
        self.variables = [*_VARIABLE.findall(text), *self.tables]
        self.programs = [_program(*found) for found in _PROGRAM.findall(text)]
        self.functions = [Function(name, _pointers(each)) for name, each in _FUNCTION.findall(text)]
        self.records = {
            each.name: each.kind.removeprefix("struct ")
            for each in structs(self._abi_h)["rb_layout"]
            if each.kind.startswith("struct ")
        }

    @property
    def entries(self) -> list[str]:
        return [*(each.name for each in self.programs), FILL_TABLES]

    @property
    def symbols(self) -> list[str]:
        """The names that the loader gives a meaning to; the address of the nth is SYMBOL + n."""
        return [*self.maps, *self.variables]

    def questions(self) -> dict[str, str]:
        """Constants by a name of their own: C expressions."""
        return {
            **{f"place {name}": name for name in self.entries},
            **{f"place {each.name}": each.name for each in self.functions},
            **{f"bytes {name}": f"sizeof({name})" for name in (*self._pointed(), *self.variables)},
            **dict(self._map_questions()),
            **{f"bytes {name}": f"sizeof(struct {name})" for name in self.records.values()},
            **dict(self._field_questions()),
            **{name: name for names in enums(self._abi_h).values() for name in names},
            OWN_PLACE: "",
        }

    def _pointed(self) -> list[str]:
        return sorted({kind for each in self.functions for kind in each.parameters if kind})

    def _map_questions(self) -> Iterator[tuple[str, str]]:
        for name, fields in self.maps.items():
            for field, value in fields.items():
                yield f"{name} {field}", value if field in _MAP_NUMBERS else f"sizeof({value})"

    def _field_questions(self) -> Iterator[tuple[str, str]]:
        for struct in self.records.values():
            for path, field in self.fields(struct):
                yield f"{struct} {path}", f"__builtin_offsetof(struct {struct}, {path})"
                if field.array:
                    yield f"bytes {struct} {path}", f"sizeof(((struct {struct} *)0)->{path})"

    def fields(self, struct: str, prefix: str = "") -> Iterator[tuple[str, Field]]:
        """Those of a record, the fields of structs within it among them, with their full names."""
        for field in structs(self._abi_h)[struct]:
            inner = field.kind.removeprefix("struct ")
            if inner != field.kind:
                yield from self.fields(inner, f"{prefix}{field.name}.")
            else:
                yield prefix + field.name, field

    def enums(self) -> dict[str, list[str]]:
        return enums(self._abi_h)

    def text(self, layouts: Layouts) -> str:
        """The C source, fitted to a kernel."""
        declared = [f"static int {each.name}({each.parameters});" for each in self.programs]
        values = [f"VALUE({expression})" for expression in self.questions().values() if expression]
        return "\n".join(
            (
                _HEAD,
                fitted(self.kernel_h, layouts),
                *(f'asm(".set {name}, {SYMBOL + n}");' for n, name in enumerate(self.symbols)),
                *declared,
                f'#include "{self._folder}/rubicon.bpf.c"',
                *self._fill_tables(),
                _TAIL % "\n".join(values),
            )
        )

    def _fill_tables(self) -> Iterator[str]:
        yield f"static __attribute__((used)) int {FILL_TABLES}(void *ctx)\n{{"
        for name, size in self.tables.items():
            yield "#pragma clang loop unroll(full)"
            yield f"\tfor (int i = 0; i < {size}; i++)\n\t\tif ({name}_first[i])"
            yield f"\t\t\t{name}[i] = {name}_first[i];"
        yield "\treturn 0;\n}"

    def code_of(self, field: Field, size: int) -> str:
        """In the notation of Python's struct."""
        return f"{size}s" if field.array else _CODES[field.kind]


def layout_from(unit: Unit, answers: Mapping[str, int]) -> dict[str, object]:
    """The layout of all records, as `layout.layout_of` makes it from the object."""
    layouts = {}
    for name, struct in unit.records.items():
        fields = [
            [path, answers[f"{struct} {path}"], unit.code_of(field, answers.get(f"bytes {struct} {path}", 0))]
            for path, field in unit.fields(struct)
        ]
        layouts[name] = {"bytes": answers[f"bytes {struct}"], "fields": fields}
    return {"version": answers["RB_ABI_VERSION"], "structs": layouts}


def _map_fields(body: str) -> dict[str, str]:
    return dict(_MAP_FIELD.findall(body))


def _program(kind: str, target: str, traced: str, plain: str, parameters: str) -> Program:
    return Program(traced or plain, kind, target, parameters or "unsigned long long *ctx")


def _pointers(parameters: str) -> tuple[str, ...]:
    return tuple(each.rpartition("*")[0].strip() for each in parameters.split(","))
