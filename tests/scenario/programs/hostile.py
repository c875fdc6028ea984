"""Names and arguments chosen to harm who looks at them: three files, and a child with them as arguments."""

from __future__ import annotations

import os
import subprocess

NAMES = (
    b"esc\x1b[2J\x1b[H\x1b]0;owned\x07\x9b31m",
    b"line\nrubicon: 0 events, 0 violations\r\ttab\x7f\x08",
    b"bytes\xff\xfe\xc3\x28[bold red]markup[@click=app.quit]x \xe2\x80\xaegpj.exe\xe2\x81\xa6\xe2\x80\x8b",
)

if __name__ == "__main__":
    for name in NAMES:
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o600))
    subprocess.run([b"/bin/true", *NAMES], check=True)
