"""Rubicon: what a sandboxed agent really does, seen at the kernel and judged by rules.

Data flows one way, and a module imports only what stands to its left:

    events, errors, records, text
      <- capture | trace | targets | context | rules | actions      (none imports another)
      <- pipeline
      <- session | export
      <- cli, and the package tui
"""

__version__ = "0.1.0"
