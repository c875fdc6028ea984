"""How large each program of the probes is. For scripts/bench instructions [--write]: a Markdown table.

Counted is what the kernel is given to verify: a program and all functions that it may call, as compiled. With
--write the table goes into probes/README.md, where a test holds the probes to it.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from readme_table import write_between

from tests.unit.capture.compiled import instructions
from tracer.capture.core import OBJECT

README = Path(__file__).resolve().parents[1] / "probes/README.md"
BEGIN = "<!-- instructions: written by scripts/bench instructions --write -->"
END = "<!-- instructions: end -->"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/bench instructions", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--write", action="store_true", help="into probes/README.md")
    lines = table(instructions(OBJECT))
    if parser.parse_args().write:
        write_between(README, BEGIN, END, lines)
    else:
        print("\n".join(lines))
    return 0


def table(found: dict[str, int]) -> list[str]:
    """The largest first; those of a size share a line."""
    sizes: dict[int, list[str]] = {}
    for program, size in sorted(found.items()):
        sizes.setdefault(size, []).append(f"`{program}`")
    rows = [f"| {', '.join(sizes[size])} | {size} |" for size in sorted(sizes, reverse=True)]
    return [f"| program, by clang {compiler()} | instructions |", "|---|---|", *rows]


def compiler() -> str:
    """The number of its version, without that of the revision: "14"."""
    said = subprocess.run(["clang", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\d+)", said)
    return found[1] if found else "?"


if __name__ == "__main__":
    sys.exit(main())
