"""`rubicon doctor`: what this kernel allows, what cannot be seen, and what to do about it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from tracer.capture.doctor import Examination, Hook, KernelFacts, Unseen, examine
from tracer.capture.trials import Answer
from tracer.cli.privileges import setcap_commands
from tracer.errors import EXIT_FAILED, EXIT_OK
from tracer.targets.machine import Cgroups, Runtime, cgroup_layout, runtimes
from tracer.text import printable, valid_unicode

_COLUMNS = 80
_INDENT = 13  # of what follows a label
_LOW = "-999 while it watches: others go first when memory runs out"
_NOT_LOW = (
    "as it is, without CAP_SYS_RESOURCE: when memory runs out Rubicon may go before those it watches; "
    "have them go first: rubicon run -- choom -n 500 -- CMD"
)
_LOCKDOWNS = {
    "": "not known: securityfs is not mounted or not readable",
    "confidentiality": "confidentiality: no probe may read the kernel's memory",
}
_OFFSETS = {"BTF": "the kernel's BTF", "headers": "the kernel's headers"}
_WORDS = {True: "yes", False: "no", None: "?"}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "doctor",
        help="what this kernel allows, and what cannot be seen on it",
        description="Say what this kernel and these privileges allow, which routes cannot be seen, and what "
        "to do about it. Loads the probes for a moment; changes nothing. Exit status 0 when probes can be "
        "loaded, otherwise 1.",
    )
    parser.add_argument("--json", action="store_true", help="the facts as one JSON object")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    found, cgroups, containers = examine(), cgroup_layout(), runtimes()
    if args.json:
        print(json.dumps(_valid(document(found, cgroups, containers))))
    else:
        print("\n".join(describe(found, cgroups, containers)))
    return EXIT_OK if found.loads else EXIT_FAILED


def document(found: Examination, cgroups: Cgroups, containers: tuple[Runtime, ...]) -> dict[str, Any]:
    return {
        **asdict(found),
        "cgroups": asdict(cgroups),
        "runtimes": [asdict(each) for each in containers],
        "without_root": _without_root(),
    }


def _valid(value: Any) -> Any:
    """Names from the machine may be bytes that are not UTF-8."""
    if isinstance(value, dict):
        return {key: _valid(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_valid(each) for each in value]
    return valid_unicode(value) if isinstance(value, str) else value


def describe(found: Examination, cgroups: Cgroups, containers: tuple[Runtime, ...]) -> Iterator[str]:
    """Lines of at most 80 columns, the verdict first."""
    yield from _verdict(found)
    yield ""
    yield from _kernel(found.kernel)
    yield from _machine(cgroups, containers)
    yield ""
    yield "Without root, for the processes of one's own user"
    for command in _without_root():
        yield from _continued(command)
    yield ""
    yield "Loaders"
    yield from _answers(found.loaders)
    yield ""
    yield "Hooks of the probes"
    yield from _answers(_hook_answer(each) for each in found.hooks)
    yield ""
    yield "Kinds of programs and ways into the kernel"
    yield from _answers((*found.programs, found.refusals, *found.kernel.mechanisms, *found.calls))
    yield ""
    yield "Cannot be seen here"
    for each in found.unseen:
        yield from _unseen(each)


def _without_root() -> list[str]:
    return setcap_commands(sys.executable, os.getgid())


def _continued(command: str) -> Iterator[str]:
    """A shell command that can be copied, whatever its length."""
    lines = textwrap.wrap(
        command, _COLUMNS - 4, break_on_hyphens=False, break_long_words=False, drop_whitespace=True
    )
    yield from (f"  {printable(line)} \\" for line in lines[:-1])
    yield f"  {printable(lines[-1])}"


def _verdict(found: Examination) -> Iterator[str]:
    if found.loads:
        offsets = _OFFSETS[found.offsets]
        yield f"Probes can be loaded: loader {found.loader}, tier {found.tier}, offsets from {offsets}."
    else:
        yield from _wrapped("Probes cannot be loaded: ", found.problem, indent=2)


def _kernel(kernel: KernelFacts) -> Iterator[str]:
    yield from _labelled("kernel", f"{kernel.release} {kernel.machine}")
    size = f", {kernel.btf_bytes / 1e6:.1f} MB" if kernel.btf else ""
    yield from _labelled("BTF", f"{kernel.btf or 'none: a kernel with CONFIG_DEBUG_INFO_BTF=y has it'}{size}")
    yield from _labelled("headers", kernel.headers or "none; wanted only where there is no BTF")
    yield from _labelled("libbpf", kernel.libbpf or "not installed: apt-get install libbpf1")
    yield from _labelled("privileges", " ".join(kernel.capabilities) or "none that matter here")
    if kernel.remedy:
        yield from _labelled("", f"to have what is missing: {kernel.remedy}")
    yield from _labelled("OOM score", _LOW if "CAP_SYS_RESOURCE" in kernel.capabilities else _NOT_LOW)
    yield from _labelled("lockdown", _LOCKDOWNS.get(kernel.lockdown, kernel.lockdown))


def _machine(cgroups: Cgroups, containers: tuple[Runtime, ...]) -> Iterator[str]:
    yield from _labelled("cgroups", _layout(cgroups))
    if not containers:
        yield from _labelled("containers", "no runtime found")
    for label, each in zip(("containers", *[""] * len(containers)), containers, strict=False):
        sockets = ", ".join(each.sockets) or "no socket"
        programs = ", ".join(each.programs) or "no program in PATH"
        yield from _labelled(label, f"{each.name}: {sockets}; {programs}")


def _layout(cgroups: Cgroups) -> str:
    parts = [cgroups.layout]
    if cgroups.v2:
        parts.append(f"v2 at {', '.join(cgroups.v2)}")
    if cgroups.v1:
        parts.append(f"v1 at {', '.join(cgroups.v1)}")
    return "; ".join(parts)


def _hook_answer(hook: Hook) -> Answer:
    return Answer(f"{hook.hook} ({hook.program})", hook.yes, hook.why)


def _answers(answers: Iterable[Answer]) -> Iterator[str]:
    for each in answers:
        why = f": {each.why}" if each.why else ""
        yield from _wrapped(f"  {_WORDS[each.yes]:<3}  ", f"{each.name}{why}")


def _unseen(unseen: Unseen) -> Iterator[str]:
    yield from _wrapped("  ", unseen.route)
    if unseen.opens:
        yield from _wrapped("    would open it: ", unseen.opens, indent=6)


def _labelled(label: str, text: str) -> Iterator[str]:
    yield from _wrapped(f"{label:<{_INDENT}}", text)


def _wrapped(first: str, text: str, indent: int | None = None) -> Iterator[str]:
    """`text` after `first`, continued below its own beginning if `indent` does not say otherwise."""
    following = " " * (len(first) if indent is None else indent)
    lines = textwrap.wrap(
        printable(text), _COLUMNS, initial_indent=first, subsequent_indent=following, break_on_hyphens=False
    )
    yield from lines or [first.rstrip()]
