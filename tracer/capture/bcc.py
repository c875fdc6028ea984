"""The BCC compiler, as a program of its own: source on its standard input, instructions on its output.

Nothing else imports bcc. It runs under Debian's own Python, which has the package python3-bpfcc whatever
environment Rubicon is installed in; and LLVM's 100 MB and what it prints stay out of the engine.

    in   {"text": C source, "flags": [...], "kernel_source": folder of kernel headers}
    out  {"values": [...], "code": hex}    see tracer.capture.compiled, or {"missing": true} without BCC
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from typing import Any

ENTRY = b"rubicon"
_LOAD_WIDE = 0x18  # BPF_LD | BPF_IMM | BPF_DW
_EXIT = bytes.fromhex("9500000000000000")
_INSTRUCTION_BYTES = 8


def main() -> None:
    output = os.dup(1)
    os.dup2(2, 1)  # BCC prints there what goes wrong
    task: dict[str, Any] = json.load(sys.stdin)
    os.environ["BCC_KERNEL_SOURCE"] = task["kernel_source"]
    with open(output, "w", encoding="ascii") as out:
        json.dump(compiled(task["text"], task["flags"]), out)


def compiled(text: str, flags: list[str]) -> dict[str, Any]:
    try:
        from bcc import BPF, lib
    except ImportError:
        return {"missing": True}
    module = BPF(text=text.encode(), cflags=flags)
    values = values_of(module.dump_func(ENTRY))
    # All is in one section, of which BCC knows one function. The one behind it tells where the section ends.
    start, size = lib.bpf_function_start(module.module, ENTRY), lib.bpf_function_size(module.module, ENTRY)
    *values, behind = values
    begin = start + size - behind
    (end,) = values_of(ctypes.string_at(begin + behind, 2 * _INSTRUCTION_BYTES))
    code, own = bytearray(ctypes.string_at(begin, end)), behind - size
    code[own:behind] = _EXIT * (size // _INSTRUCTION_BYTES)  # its constants are no addresses
    return {"values": [*values, own], "code": code.hex()}


def values_of(code: bytes) -> list[int]:
    """What the wide loads of a function load, in order."""
    found = []
    for at in range(0, len(code), _INSTRUCTION_BYTES):
        if code[at] == _LOAD_WIDE:
            low, high = code[at + 4 : at + 8], code[at + 12 : at + 16]
            found.append(int.from_bytes(low + high, "little"))
    return found


if __name__ == "__main__":
    main()
