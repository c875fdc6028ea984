"""Runs the program of each case in a folder of its own, one after the other: driver.py PYTHON WORK < list."""

import json
import os
import subprocess
import sys

python, work = sys.argv[1:]
with open(os.path.join(work, "programs.json")) as file:
    programs = json.load(file)
failed = [
    folder
    for folder in programs
    if subprocess.run(
        [python, "-IS", "case.py"], cwd=folder, stdin=subprocess.DEVNULL, check=False
    ).returncode
]
sys.exit(f"failed: {failed}" if failed else 0)
