"""The audit report in a real browser: it shows something, runs nothing, asks nobody, and can be printed."""

from __future__ import annotations

import os
import re
import shutil
import socket
import struct
import subprocess
import threading
import zlib
from collections import Counter
from pathlib import Path

import pytest

from .driver import PROGRAMS, PYTHON, Rubicon

BROWSER = shutil.which("chromium")
SECONDS_MAX = 120
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="chromium is not installed (scripts/setup dev does it)"
)


class Page:
    """A page as the browser has it after it was loaded; `said` is its console and what else it logs."""

    def __init__(self, page: Path, *options: str) -> None:
        folder = page.parent / "browser"
        command = [
            BROWSER or "", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--hide-scrollbars", "--enable-logging=stderr", "--force-color-profile=srgb",
            f"--user-data-dir={folder}", *options,
            "--virtual-time-budget=2000", f"file://{page}",
        ]  # fmt: skip
        done = subprocess.run(
            command,
            cwd=page.parent,
            env={"PATH": os.environ["PATH"], "HOME": str(page.parent), "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        self.dom = done.stdout
        self.said = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a session whose programs and files have names that would like to be more than names."""
    rubicon = Rubicon(tmp_path_factory.mktemp("browser").resolve())
    rubicon.work.mkdir()
    policy = rubicon.policy("files: {write: []}\nnetwork: {connect: []}\n")
    done = rubicon.do(
        "run", "--policy", policy, "--trace", rubicon.trace, "--", PYTHON, PROGRAMS / "marked_up.py"
    )
    assert done.returncode == 0, done.stderr
    path = rubicon.folder / "report.html"
    done = rubicon.do("report", rubicon.trace, "-o", path)
    assert (done.returncode, "violated" in done.stderr) == (0, True), done.stderr
    return path


def test_it_is_shown(page: Path) -> None:
    """In light and dark: a heading, a picture and tables, in more colours than a blank page has."""
    modes = {"light": (), "dark": ("--blink-settings=preferredColorScheme=0",)}
    for name, options in modes.items():
        picture = page.with_name(f"{name}.png")
        Page(page, "--window-size=1000,1400", f"--screenshot={picture}", *options)
        width, height, colours = pixels(picture)
        assert (width, height) == (1000, 1400)
        (_, most), *others = colours.most_common()
        assert most < 0.98 * width * height, "there is something on it"
        assert len(others) > 100, "text has many shades"


def test_it_runs_nothing_and_complains_of_nothing(page: Path) -> None:
    """The names are there, as text."""
    shown = Page(page, "--dump-dom")
    assert shown.said == []
    assert re.findall(r"<title>(.*?)</title>", shown.dom)[0].startswith("Rubicon: ")
    assert not re.findall(r"<(?:script|img|iframe|object|embed|link|form|a|base)\b", shown.dom)
    assert not re.findall(r"<[^>]*\son\w+=", shown.dom)
    assert "&lt;script&gt;document.title='owned'&lt;/script&gt;" in shown.dom
    assert "&lt;img src=x onerror=document.title='owned'&gt;" in shown.dom
    assert "\\x1b[2J" in shown.dom
    assert "\\u202e" in shown.dom


def test_what_got_in_all_the_same_could_do_nothing(page: Path) -> None:
    """The content security policy holds by itself: no script, no style from elsewhere, no request."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=take, args=(server, asked), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        evil = (
            f"<script>document.title='owned'</script><script src='{url}/b'></script>"
            f"<img src='{url}/a' onerror=\"document.title='owned'\"><link rel=stylesheet href='{url}/c'>"
            f"<iframe src='{url}/d'></iframe><object data='{url}/e'></object>"
            f"<form action='{url}/f'><input autofocus onfocus=\"this.form.submit()\"></form>"
        )
        text = page.read_text()
        changed = page.with_name("changed.html")
        changed.write_text(text.replace("</body>", f"{evil}</body>"))
        shown = Page(changed, "--dump-dom")
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    assert re.findall(r"<title>(.*?)</title>", shown.dom)[0].startswith("Rubicon: ")
    assert not any(asked), asked
    refused = [line for line in shown.said if "Content Security Policy" in line]
    assert len(refused) >= 5, shown.said


def test_it_can_be_printed(page: Path) -> None:
    paper = page.with_name("report.pdf")
    Page(page, f"--print-to-pdf={paper}", "--no-pdf-header-footer")
    data = paper.read_bytes()
    assert data.startswith(b"%PDF-")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", data)) < 40


def take(server: socket.socket, asked: list[bytes]) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            asked.append(connection.recv(1_000))


def pixels(path: Path) -> tuple[int, int, Counter[bytes]]:
    """Width, height and how often each colour is there, of a PNG of 8 bits a channel (PNG, third edition)."""
    data, position, packed = path.read_bytes(), 8, b""
    width, height, depth, kind = struct.unpack_from(">IIBB", data, 16)
    while position < len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        packed += data[position + 8 : position + 8 + length] if name == b"IDAT" else b""
        position += length + 12
    size = {2: 3, 6: 4}[kind]
    assert depth == 8
    raw, stride = zlib.decompress(packed), width * size
    before, colours = bytearray(stride), Counter[bytes]()
    for row in range(height):
        start = row * (stride + 1)
        before = unfiltered(raw[start], raw[start + 1 : start + 1 + stride], before, size)
        colours.update(bytes(before[at : at + 3]) for at in range(0, stride, size))
    return width, height, colours


def unfiltered(how: int, line: bytes, above: bytearray, size: int) -> bytearray:
    found = bytearray(line)
    for at in range(len(found)):
        left = found[at - size] if at >= size else 0
        corner = above[at - size] if at >= size else 0
        if how == 4:
            guess = min((left, above[at], corner), key=lambda each: abs(left + above[at] - corner - each))
        else:
            guess = (0, left, above[at], (left + above[at]) // 2)[how]
        found[at] = (found[at] + guess) & 255
    return found
