"""Rubicon: what a sandboxed agent really does, seen at the kernel and judged by rules.

Data flows one way, and a module imports only what stands to its left:

    events, errors, records, text
      <- capture | trace | targets | context | rules | actions      (none imports another)
      <- pipeline
      <- session | export | correlate | fleet | marking <- otel
      <- cli, and the package tui
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracer.marking import step

__version__ = "0.1.0"
__all__ = ["step"]


def __getattr__(name: str) -> Any:
    """`step` is imported when it is asked for: whoever wants the version needs nothing else."""
    if name == "step":
        from tracer.marking import step

        return step
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
