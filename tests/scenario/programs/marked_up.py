"""Names that would like to be more than names: of files, of a program and of its arguments."""

import os
import shutil
import socket
import subprocess

NAMES = (
    "<script>document.title='owned'",
    "<img src=x onerror=document.title='owned'>",
    "\"><svg onload=document.title='owned'>",
    "\x1b[2J\u202e",
    "{{ 7 * 7 }}",
)
for name in NAMES:
    with open(name, "w"):
        pass
shutil.copy("/bin/true", NAMES[1])
subprocess.run(
    ["./" + NAMES[1], "<script>document.title='owned'</script>", "javascript:alert(1)"], check=True
)
with socket.socket() as connection:
    connection.connect_ex(("127.0.0.1", 9))
os.remove(NAMES[0])
