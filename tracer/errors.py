"""Every error Rubicon raises on purpose, and the exit status each one ends in.

RubiconError                     1  Rubicon failed
├── UsageError                   2  bad usage or a bad input file
│   ├── TargetError              2  the target does not exist or ended while attaching
│   ├── RuleFileError            2  a policy or rule file is wrong; holds every problem found
│   └── TraceError               2  the file is not a trace, or not one this version reads
│       └── AbiMismatch          2  recorded with other wire records; names both versions
├── CommandError                 127, 126  the command was not found, or cannot be executed; as in a shell
├── PrivilegeError               1  not root, or a capability is missing
├── KernelError                  1  the kernel lacks or refuses something; names what and the remedy
└── CaptureError                 1  the probes failed after they had been loaded
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_VIOLATION = 3
EXIT_INCOMPLETE = 4
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127


class RubiconError(Exception):
    """Base of all; its text is one line a user can act on."""

    exit_status = EXIT_FAILED


class UsageError(RubiconError):
    exit_status = EXIT_USAGE


class TargetError(UsageError):
    pass


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a rule or policy file; `line` counts from 1, 0 when unknown."""

    file: Path
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        return f"{place}: {self.field}: {self.message}" if self.field else f"{place}: {self.message}"


class RuleFileError(UsageError):
    """All problems of all files at once, so that one round of mending is enough."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class TraceError(UsageError):
    pass


class AbiMismatch(TraceError):  # noqa: N818  it says more than AbiMismatchError
    def __init__(self, recorded: int, supported: int) -> None:
        self.recorded = recorded
        self.supported = supported
        super().__init__(
            f"the trace was recorded with wire ABI {recorded}, this version reads wire ABI {supported}"
        )


class CommandError(RubiconError):
    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class PrivilegeError(RubiconError):
    pass


class KernelError(RubiconError):
    pass


class CaptureError(RubiconError):
    pass
