"""Where scripts/rubicon enters: `python -I tracer/cli/__main__.py`, and also `python -m tracer.cli`.

Isolated mode puts neither this folder nor the working directory on the import path, so the checkout is put
there by its own address.
"""

from __future__ import annotations

import os
import sys


def _use_the_checkout() -> None:
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def _undo_locale_coercion() -> None:
    """Python sets LC_CTYPE in a C locale (PEP 538); the command that Rubicon starts must not inherit that.

    An interpreter that has capabilities of its own may not look at how it was started (proc_pid_environ(5)).
    """
    try:
        with open("/proc/self/environ", "rb") as file:
            variables = file.read().split(b"\0")
    except PermissionError:
        return
    if not any(variable.startswith(b"LC_CTYPE=") for variable in variables):
        os.environ.pop("LC_CTYPE", None)


if __name__ == "__main__":
    if not __package__:
        _use_the_checkout()
    _undo_locale_coercion()
    from tracer.cli import main

    sys.exit(main())
