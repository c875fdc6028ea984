"""A coding agent's day: what it types, section by section. Each section has a folder of its own and stands alone.

Every line is run by `bash -c` in the section's folder, in order. {python} is the interpreter with pytest, {wheels} a
folder of wheels, {port} a port of this machine that is free, {host} the host that ssh may reach.
"""

from __future__ import annotations

from collections.abc import Iterator

WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")


def each(template: str, *options: str) -> list[str]:
    return [template.replace("@", option) for option in options]


def git() -> Iterator[str]:
    yield "git init -q -b main repo && cd repo && git config user.name Ada && git config user.email ada@example.org"
    yield "cd repo && printf 'def add(a, b):\\n    return a + b\\n' >calc.py && git add calc.py"
    yield "cd repo && git commit -qm 'Add a calculator'"
    for word in WORDS:
        yield f"cd repo && echo 'print(\"{word}\")' >{word}.py && git add -A && git commit -qm 'Add {word}'"
    yield from each(
        "cd repo && git log @ | cat",
        "--oneline", "-3 --stat", "--graph --all", "-p -1", "--format=%h:%s", "--since=yesterday", "--author=Ada",
        "--grep=alpha", "-S return", "--name-status", "--reverse", "--follow calc.py", "-L1,2:calc.py",
    )  # fmt: skip
    yield from each(
        "cd repo && git diff @ | cat",
        "HEAD~1", "--stat HEAD~3", "--name-only HEAD~2", "--word-diff HEAD~1", "HEAD~3 HEAD~1 -- alpha.py", "--check",
    )  # fmt: skip
    yield from each("cd repo && git show @ | cat", "HEAD", "HEAD~1:calc.py", "--stat HEAD~2", "--format=fuller -s")
    yield from each("cd repo && git branch @", "feature", "--list", "-v", "-m feature topic", "--show-current")
    yield "cd repo && git checkout -q topic && sed -i 's/a + b/b + a/' calc.py && git commit -qam 'Swap'"
    yield "cd repo && git checkout -q main && git merge -q --no-ff -m 'Merge topic' topic"
    yield "cd repo && git checkout -q -b fix HEAD~2 && echo '# fixed' >>alpha.py && git commit -qam 'Fix alpha'"
    yield "cd repo && git rebase -q main && git checkout -q main && git cherry-pick fix"
    yield "cd repo && git revert --no-edit HEAD && git reset -q --hard HEAD~1"
    yield "cd repo && echo dirty >>beta.py && git stash -q && git stash list && git stash pop -q"
    yield "cd repo && git restore beta.py && git status --porcelain"
    yield from each(
        "cd repo && git @",
        "tag v1.0", "tag -a v1.1 -m one", "describe --tags", "status -sb", "remote -v", "blame calc.py", "shortlog -sn",
        "ls-files", "ls-tree -r HEAD", "rev-parse HEAD", "cat-file -p HEAD", "count-objects -v", "fsck", "gc -q",
        "reflog", "grep -n return", "config --list", "notes add -m seen", "bundle create ../all.bundle --all",
        "archive -o ../src.tar.gz HEAD", "format-patch -q -2 -o ../patches", "worktree add -q ../tree topic",
        "worktree remove ../tree", "mv gamma.py gamma2.py", "rm -q delta.py", "clean -nd", "commit -qm 'Tidy'",
    )  # fmt: skip
    yield "git clone -q --bare repo origin.git && git clone -q origin.git copy"
    yield "cd copy && git config user.name Ada && git config user.email a@example.org && echo more >>README.md"
    yield "cd copy && git add README.md && git commit -qm 'Read me' && git push -q origin main"
    yield "cd repo && git remote add origin ../origin.git && git fetch -q && git pull -q --rebase origin main"
    yield "cd copy && git bisect start -q HEAD HEAD~5 && git bisect run -q true; git bisect reset -q"
    yield "cd copy && git switch -q -c wip && git am -q ../patches/0001-* || git am --abort"
    yield "git clone -q all.bundle from-bundle -b main && cd from-bundle && git log --oneline | wc -l"
    yield "cd repo && git submodule add -q ../origin.git sub || git -c protocol.file.allow=always submodule update"
    yield "rm -rf from-bundle copy patches"


def files() -> Iterator[str]:
    yield "mkdir -p src/a src/b docs build && touch src/a/one.txt src/b/two.txt"
    for word in WORDS:
        yield f"seq 1 40 | sed 's/$/ {word}/' >src/a/{word}.txt"
    yield from each(
        "grep @ src/a",
        "-rn alpha", "-rc beta", "-rl gamma", "-rE '^1[0-9] '", "-ri DELTA", "-rv zeta --include=eta.txt", "-rw eta",
        "-rA1 '^7 '", "-rh theta", "-rF '3 alpha'",
    )  # fmt: skip
    yield from each(
        "find . @",
        "-name '*.txt'", "-type d", "-size +1k", "-mmin -5", "-empty", "-name '*.txt' -exec wc -l {} +", "-maxdepth 1",
        "-path '*/a/*' -print0 | xargs -0 ls -l", "-newer src/a/one.txt", "-perm -u+r -type f", "-printf '%p %s\\n'",
    )  # fmt: skip
    yield from each("cat src/a/@.txt | wc -lc", *WORDS)
    yield from each("head -@ src/a/alpha.txt", "1", "3", "5")
    yield from each("tail -@ src/a/beta.txt", "1", "n +30", "c 20")
    yield from each(
        "sed @ src/a/gamma.txt | head -3",
        "'s/gamma/GAMMA/'", "-n '2,4p'", "'/3/d'", "'1i top'", "-E 's/([0-9]+) (.*)/\\2 \\1/'", "'$!N;s/\\n/ /'", "y/g/G/",
    )  # fmt: skip
    yield from each(
        "awk @ src/a/delta.txt | tail -2",
        "'{print $1}'", "'NR % 5 == 0'", "'{s += $1} END {print s}'", "-F' ' '{print $2, $1}'", "'length > 8'",
        "'BEGIN {OFS=\":\"} {$1=$1} 1'",
    )  # fmt: skip
    yield from each(
        "sort @ src/a/eta.txt | head -2", "-n", "-rn", "-u", "-k2", "-R", "-t' ' -k1,1n",
    )  # fmt: skip
    yield from each("cut @ src/a/eta.txt | uniq -c | head -3", "-d' ' -f2", "-c1-3", "-d' ' -f1")
    yield from each("tr @ <src/a/eta.txt | head -2", "a-z A-Z", "-d e", "-s ' ' _", "-cd '0-9\\n'")
    yield "diff src/a/alpha.txt src/a/beta.txt >ab.patch; patch -o - src/a/alpha.txt ab.patch | tail -1"
    yield "diff -u src/a/alpha.txt src/a/alpha.txt && cmp src/a/eta.txt src/a/eta.txt && comm -12 src/a/eta.txt src/a/eta.txt"
    yield "paste src/a/alpha.txt src/a/beta.txt | head -2; join src/a/alpha.txt src/a/alpha.txt 2>/dev/null | head -1"
    yield "cp -r src src2 && cp -a src/a/one.txt src/b/three.txt && mv src/b/three.txt src/b/3.txt && ln -s one.txt src/a/link"
    yield "ln src/a/one.txt src/a/hard && readlink -f src/a/link && realpath src/a && basename src/a/one.txt .txt"
    yield from each("ls @", "-la", "-R src", "-lt src/a", "-1 | wc -l", "-S src/a", "--color=never -F")
    yield from each("stat @ src/a/one.txt", "", "-c '%n %s'", "-f")
    yield from each("du @ src", "-sh", "-a", "--max-depth=1")
    yield from each("chmod @ src/a/one.txt", "644", "u+x", "go-w", "a-x")
    yield from each("@ src/a/theta.txt", "nl", "fold -w 5", "tac", "rev", "shuf", "od -c", "md5sum", "sha256sum", "base64",
                    "cksum", "wc", "file", "xargs -n5 echo <", "split -l 10 -d --additional-suffix=.part", "expand")  # fmt: skip
    yield "split -l 10 src/a/theta.txt build/part- && cat build/part-* | cmp - src/a/theta.txt"
    yield "for f in src/a/*.txt; do mv \"$f\" \"${f%.txt}.md\"; done && ls src/a"
    yield "find src -name '*.md' -print0 | xargs -0 -P4 -n1 wc -w && tee build/copy <src/a/eta.md | head -1"
    yield "echo '{\"a\": [1, 2, {\"b\": null}]}' >data.json && jq -c '.a[2]' data.json"
    yield from each("jq @ data.json", ".", "'.a | length'", "-r '.a[0]'", "'to_entries'", "'[.a[] | numbers]'")
    yield "mktemp -d && T=$(mktemp) && echo x >\"$T\" && rm \"$T\" && rm -rf src2 build *.part"


def shell() -> Iterator[str]:
    yield from each(
        "@",
        "pwd", "date -u +%F", "uname -a", "id", "whoami", "hostname", "env | sort | head -5", "printenv HOME", "df -h .",
        "free -m", "uptime", "nproc", "ps aux | head -5", "ps -ef --forest | tail -3", "which python3 git gcc", "type -a ls",
        "echo $((6 * 7))", "printf '%05d\\n' 42", "seq 3 | paste -sd+ | bc", "expr 6 '*' 7", "true && echo yes",
        "sleep 0.1 & wait $!", "timeout 5 echo in time", "nice -n 5 echo nice", "nohup true", "setsid -w true",
        "time true", "ulimit -a", "set -o | head -3", "trap 'echo bye' EXIT", "test -f /etc/hostname && echo there",
        "getent passwd root | cut -d: -f1", "cat /etc/os-release | head -1", "cat /proc/cpuinfo | grep -c processor",
        "cat /proc/meminfo | head -2", "cat /proc/self/status | head -3", "lscpu | head -3", "mount | head -2", "locale",
        "stty -a 2>/dev/null || true", "tput cols 2>/dev/null || true", "man -w ls 2>/dev/null || true", "history | tail -1",
        "export GREETING=hello && bash -c 'echo $GREETING'", "read -r line </etc/hostname && echo \"$line\"",
        "openssl rand -hex 8 | wc -c", "openssl version", "python3 --version", "gcc --version | head -1", "git --version",
        "a=(1 2 3); echo ${a[@]} ${#a[@]}", "for i in 1 2 3; do echo $i; done", "case x in x) echo it;; esac",
        "while read -r n; do echo $((n + 1)); done < <(seq 3)", "f() { echo \"f $1\"; }; f x", "[[ abc =~ b ]] && echo match",
        "diff <(seq 3) <(seq 4) | head -1", "cat <<< here", "{ echo a; echo b; } | sort -r", "yes | head -2",
        "sleep 30 & kill $! && wait $! 2>/dev/null; echo ended", "pgrep -c bash || true", "xargs -n1 echo < <(seq 3)",
        "find /usr/include -name 'stdio.h' 2>/dev/null | head -1", "strings /bin/true | head -2", "ldd /bin/ls | head -2",
        "dpkg -l | head -2 | wc -l", "apt-cache policy git | head -2", "column -t </etc/hosts | head -2", "cal 2>/dev/null || true",
    )  # fmt: skip


def python() -> Iterator[str]:
    yield "mkdir -p pkg/demo tests && printf '__version__ = \"1.0\"\\n' >pkg/demo/__init__.py"
    yield "printf 'def double(x):\\n    \"\"\"\\n    >>> double(2)\\n    4\\n    \"\"\"\\n    return x * 2\\n' >pkg/demo/core.py"
    yield "printf 'from demo.core import double\\n\\ndef test_double():\\n    assert double(3) == 6\\n' >tests/test_core.py"
    yield from each("PYTHONPATH=pkg {python} -m pytest @ tests", "-q", "-v", "-x --tb=short", "-k double", "--co -q", "-p no:cacheprovider",
                    "--durations=3", "-rA")  # fmt: skip
    yield from each("PYTHONPATH=pkg python3 -m @", "doctest pkg/demo/core.py", "unittest discover -s tests -p 'none*'", "compileall -q pkg",
                    "py_compile pkg/demo/core.py", "timeit -n 10 -r 1 'sum(range(100))'", "cProfile -s time pkg/demo/core.py",
                    "tokenize pkg/demo/core.py", "ast pkg/demo/core.py", "dis pkg/demo/core.py", "json.tool ../files/data.json",
                    "this", "site", "sysconfig", "calendar 2026 1", "zipapp pkg -o demo.pyz -m demo.core:double", "pydoc demo.core",
                    "trace --count -C cov pkg/demo/core.py", "pickletools /dev/null", "venv --help", "inspect json")  # fmt: skip
    yield from each("python3 -c '@'", "print(1)", "import sys; print(sys.path)", "import os; print(os.listdir())", "print(sum(range(10)))",
                    "import json; print(json.dumps({}))", "import re; print(re.findall(r\"a+\", \"baab\"))", "import pathlib; print(pathlib.Path.cwd())",
                    "import subprocess as s; s.run([\"true\"])", "import tempfile as t; t.TemporaryDirectory().cleanup()",
                    "import hashlib; print(hashlib.sha256(b\"x\").hexdigest())", "import datetime as d; print(d.date.today())",
                    "import random; print(random.random())", "import sqlite3; print(sqlite3.sqlite_version)", "import shutil; print(shutil.which(\"ls\"))",
                    "import multiprocessing as m; p = m.Process(target=print); p.start(); p.join()",
                    "from concurrent.futures import ThreadPoolExecutor as T; print(list(T(4).map(str, range(8))))",
                    "import asyncio; asyncio.run(asyncio.sleep(0))", "import csv, sys; csv.writer(sys.stdout).writerow([1, 2])",
                    "import tarfile; tarfile.open(\"t.tgz\", \"w:gz\").close()", "import socket; print(socket.gethostname())")  # fmt: skip
    yield "python3 -m venv --without-pip bare && bare/bin/python -c 'import sys; print(sys.prefix)'"
    yield "python3 -m venv env && env/bin/pip --version"
    yield from each("env/bin/pip @", "install -q --no-index --find-links {wheels} tally", "list", "show tally", "freeze", "check", "show -f tally",
                    "uninstall -qy tally", "install -q --no-index --find-links {wheels} tally==1.1", "download -q --no-index --find-links {wheels} tally -d got",
                    "cache dir", "config list", "debug -q", "inspect")  # fmt: skip
    yield "env/bin/python -c 'import tally; print(tally.count([1, 2]))' && env/bin/tally"
    yield "echo 'print(input())' >echo.py && echo hello | python3 echo.py && python3 -i -c 'x = 1' </dev/null"
    yield "{python} -m pytest -q --junitxml=report.xml tests || true; rm -rf env bare __pycache__"


def c_and_make() -> Iterator[str]:
    for word in WORDS:
        yield f"printf '#include <stdio.h>\\nint {word}(int x) {{ return x + %d; }}\\n' ${{#PWD}} >{word}.c && gcc -c {word}.c"
    yield "printf 'int alpha(int); int main(void) { return alpha(1) > 500; }\\n' >main.c && gcc -Wall -o app main.c alpha.o && ./app"
    yield from each("gcc @ main.c alpha.c", "-O2 -o o2", "-O0 -g -o debug", "-Os -o small", "-fsanitize=address -o asan || true", "-static -o static",
                    "-fPIC -shared -o libapp.so", "-S", "-E -o main.i || gcc -E main.c >main.i", "-MM", "-flto -o lto", "-pg -o prof")  # fmt: skip
    yield "ar rcs liball.a *.o && ranlib liball.a && gcc -o linked main.c -L. -lall && ./linked"
    yield from each("@ app", "nm", "size", "readelf -h", "objdump -d --no-show-raw-insn", "strings -n 8", "file", "ldd", "strip -o stripped",
                    "objcopy -O binary -j .text", "addr2line -e app 0x1000 #", "c++filt _Z3foov #")  # fmt: skip
    yield "printf 'all: app\\napp: main.o alpha.o\\n\\tcc -o $@ $^\\n%%.o: %%.c\\n\\tcc -c $<\\nclean:\\n\\trm -f *.o app\\ntest: all\\n\\t./app\\n' >Makefile"
    yield from each("make @", "clean", "-j4", "test", "-n", "-B", "-q || true", "-p >/dev/null", "CFLAGS=-O2", "-s clean all", "-k test", "--version")
    yield "mkdir -p sub && cp Makefile main.c alpha.c sub && make -C sub -j2 && rm -rf sub"
    yield "LD_LIBRARY_PATH=. gcc -o dyn main.c -L. -lapp 2>/dev/null; ./o2; ./small; ./debug; ./static; ./lto"
    yield "strace -c -f ./app 2>&1 | head -3; time ./app"
    yield "g++ --version >/dev/null 2>&1 && printf 'int main() { return 0; }\\n' >m.cc && g++ -o cc m.cc && ./cc; true"


def node() -> Iterator[str]:
    yield "mkdir -p lib app && printf 'module.exports = n => n * 2\\n' >lib/index.js"
    yield "cd lib && npm init -y >/dev/null && npm pkg set name=twice version=1.0.0"
    yield "cd app && npm init -y >/dev/null && npm pkg set scripts.test='node test.js' scripts.build='node -e 1' scripts.postinstall='node -e 2'"
    yield "cd app && npm install --offline --no-audit --no-fund ../lib"
    yield "cd app && printf 'const twice = require(\"twice\"); if (twice(2) !== 4) process.exit(1)\\n' >test.js"
    yield from each("cd app && npm @ --offline", "test", "run build", "ls", "ls --all", "run", "pkg get name", "pack --dry-run", "explain twice",
                    "root", "prefix", "config get registry", "version patch --no-git-tag-version", "prune", "dedupe", "ci --no-audit || true",
                    "install --no-audit --no-fund", "exec -c 'echo run'", "outdated || true", "uninstall twice --no-audit")  # fmt: skip
    yield from each("node -e '@'", "console.log(1)", "console.log(process.version)", "require(\"fs\").writeFileSync(\"out.txt\", \"x\")",
                    "console.log(require(\"os\").cpus().length)", "setTimeout(() => console.log(2), 5)", "require(\"child_process\").execSync(\"true\")",
                    "new (require(\"worker_threads\").Worker)(\"0\", {eval: true})", "console.log(require(\"crypto\").randomUUID())",
                    "JSON.parse(\"{}\")", "import(\"path\").then(p => console.log(p.sep))")  # fmt: skip
    yield "node --check app/test.js && node -p '6 * 7' && node --version && npm --version"
    yield "cd lib && npm pack --offline && tar tzf twice-1.0.0.tgz && cd ../app && npm install --offline --no-audit ../lib/twice-1.0.0.tgz"
    yield "cd app && rm -rf node_modules package-lock.json"


def rust() -> Iterator[str]:
    yield "cargo new -q --vcs none --name demo demo"
    yield from each("cd demo && cargo @ --offline", "build -q", "test -q", "run -q", "check -q", "metadata --format-version 1 | head -c 100 #", "tree",
                    "build -q --release", "doc -q --no-deps", "generate-lockfile", "clean -q")  # fmt: skip
    yield from each("@", "cargo --version", "rustc --version", "cd demo && cargo locate-project", "rustc --print sysroot", "cd demo && rustc -o m src/main.rs && ./m")


def editors() -> Iterator[str]:
    yield "printf 'one\\ntwo\\nthree\\n' >text && cp text config.ini"
    yield from each("vim -es -u NONE @ -c wq text </dev/null", "-c '%s/one/ONE/'", "-c 'normal Goend'", "-c 'g/two/d'", "-c '1put =range(1,3)'", "-c '%sort'",
                    "-c 'set ff=unix' -c '$s/e/E/'")  # fmt: skip
    yield from each("printf '@\\nw\\nq\\n' | ed -s text", "1d", "$a\\nlast\\n.", ",s/e/E/g", "1,2j", "1i\\nfirst\\n.", "/E/t.")
    yield from each("sed -i @ config.ini", "'s/one/1/'", "'$ a key = value'", "'/two/d'", "-e 1d -e '$!d'", "'s/^/# /'")
    yield from each("perl -@ config.ini", "pi -e 's/key/name/'", "ne 'print if /name/'", "pi.bak -e 's/value/other/'", "0777 -ne 'print length'")
    yield "ex -s text <<< $'%p\\nq!'; vim -es -u NONE -R -c q text </dev/null; view -es -u NONE -c q text </dev/null; true"
    yield "cat >new.py <<'END'\nprint('made by a here document')\nEND\npython3 new.py"
    yield "python3 - <<'END'\nfrom pathlib import Path\np = Path('text'); p.write_text(p.read_text().upper())\nEND"
    yield "printf 'a\\nb\\n' >l && printf 'a\\nc\\n' >r && diff -u l r >d.patch; patch l d.patch && cmp l r && rm -f *.bak"


def servers() -> Iterator[str]:
    serve = "python3 -m http.server {port} --bind 127.0.0.1 >/dev/null 2>&1 & S=$!; until curl -so /dev/null 127.0.0.1:{port}; do sleep 0.05; done; @; kill $S; wait $S 2>/dev/null; true"
    yield "echo hello >index.html && echo '{\"a\": 1}' >a.json"
    yield from each(serve, "curl -s http://127.0.0.1:{port}/", "curl -sI http://localhost:{port}/a.json", "wget -qO- http://127.0.0.1:{port}/a.json",
                    "curl -so got.html http://127.0.0.1:{port}/ && cat got.html", "curl -s http://127.0.0.1:{port}/a.json | python3 -m json.tool",
                    "curl -s http://127.0.0.1:{port}/a.json | jq .a", "for i in 1 2 3 4 5; do curl -s 127.0.0.1:{port}/?$i >/dev/null; done",
                    "python3 -c 'import urllib.request as u; print(u.urlopen(\"http://127.0.0.1:{port}/\").read())'",
                    "node -e 'fetch(\"http://127.0.0.1:{port}/\").then(r => r.text()).then(console.log)'", "(exec 3<>/dev/tcp/127.0.0.1/{port})",
                    "ss -ltn 2>/dev/null | tail -1", "wget -q -r -l1 -nH -P mirror http://127.0.0.1:{port}/", "curl -s -w '%{http_code}' http://127.0.0.1:{port}/none")  # fmt: skip
    yield "node -e 'const s = require(\"http\").createServer((q, r) => r.end(\"ok\")).listen(0, \"127.0.0.1\", () => fetch(`http://127.0.0.1:${s.address().port}`).then(r => r.text()).then(t => { console.log(t); s.close() }))'"
    yield "python3 -c 'import socket as s; a = s.create_server((\"127.0.0.1\", 0)); b = s.create_connection(a.getsockname()); c, _ = a.accept(); b.send(b\"x\"); print(c.recv(1))'"
    yield "python3 -c 'import xmlrpc.server as x; s = x.SimpleXMLRPCServer((\"127.0.0.1\", 0)); s.server_close()'"
    yield "python3 -c 'import socket\nfor p in range(30000, 30040):\n    s = socket.socket(); s.settimeout(1); s.bind((\"127.0.0.1\", p)); s.listen(); s.close()'"


def archives() -> Iterator[str]:
    yield "mkdir -p data && for i in $(seq 30); do seq $i >data/$i.txt; done"
    yield from each("tar @ data", "cf a.tar", "czf a.tgz", "cjf a.tbz2", "cJf a.txz", "--zstd -cf a.tzst", "--exclude='*3*' -cf b.tar", "cf - | gzip >p.tgz #",
                    "--sort=name --mtime=@0 -cf r.tar")  # fmt: skip
    yield from each("tar @", "tf a.tar", "tzf a.tgz", "tvjf a.tbz2", "tJf a.txz", "xf a.tar -C .", "xzf a.tgz --strip-components=1 -C data data/1.txt", "df a.tar", "xOf a.tar data/2.txt")
    yield from each("@", "zip -qr a.zip data", "unzip -l a.zip", "unzip -qo a.zip", "unzip -p a.zip data/3.txt", "zip -q a.zip Makefile || true", "zipinfo -1 a.zip",
                    "gzip -k data/4.txt", "gunzip -c data/4.txt.gz", "zcat data/4.txt.gz", "bzip2 -k data/5.txt", "bunzip2 -c data/5.txt.bz2", "xz -k data/6.txt",
                    "unxz -c data/6.txt.xz", "zstd -q data/7.txt", "zstdcat data/7.txt.zst", "gzip -t data/4.txt.gz", "cpio -o <<< data/8.txt >c.cpio || true",
                    "python3 -m zipfile -c z.zip data", "python3 -m tarfile -c t.tar data", "python3 -m gzip data/9.txt", "sha256sum *.t* >sums && sha256sum -c sums",
                    "base64 a.tgz | base64 -d | cmp - a.tgz", "ls -la *.t*", "rm -rf data *.t* *.zip")  # fmt: skip


def databases() -> Iterator[str]:
    yield "sqlite3 app.db 'create table items (id integer primary key, name text, price real)'"
    yield from each("sqlite3 app.db \"insert into items (name, price) values ('@', length('@') * 1.5)\"", *WORDS)
    yield from each("sqlite3 app.db '@'", "select count(*) from items", "select * from items order by price desc limit 2", ".tables", ".schema items",
                    "update items set price = price * 2 where id < 3", "delete from items where id = 8", "explain query plan select * from items",
                    "create index by_name on items (name)", "pragma integrity_check", "vacuum", ".dump", "select sum(price), avg(price) from items",
                    "begin; insert into items (name) values (1); rollback", "pragma journal_mode = wal")  # fmt: skip
    yield "sqlite3 -csv -header app.db 'select * from items' >items.csv && sqlite3 new.db '.mode csv' '.import items.csv items'"
    yield "sqlite3 -json app.db 'select name from items' | jq length && sqlite3 app.db '.backup copy.db'"
    yield "python3 -c 'import sqlite3; c = sqlite3.connect(\"app.db\"); print(c.execute(\"select name from items\").fetchall())'"


def remote() -> Iterator[str]:
    """To a host that is allowed; `ssh` is the client with its configuration."""
    ssh, scp = "ssh -F {ssh_config}", "scp -q -F {ssh_config}"
    yield from each(f"{ssh} {{host}} @", "true", "hostname", "'ls -la | head -2'", "'cat /etc/hostname'", "'mkdir -p {remote} && echo x >{remote}/f'", "uptime", "'exit 0'",
                    "'cat >{remote}/in' </etc/hostname", "'tar cf - /etc/hostname' >h.tar")  # fmt: skip
    yield f"seq 100 >numbers && {scp} numbers {{host}}:{{remote}}/ && {scp} {{host}}:{{remote}}/numbers back && cmp numbers back"
    yield f"echo 'ls {{remote}}' | sftp -q -b - -F {{ssh_config}} {{host}}"
    yield f"{ssh} -fN -L {{port}}:127.0.0.1:22 -o ControlMaster=yes -S $PWD/mux {{host}} && {ssh} -S $PWD/mux -O exit {{host}}"
    yield f"GIT_SSH_COMMAND='{ssh}' git clone -q {{host}}:{{repository}} cloned && cd cloned && git log --oneline | head -1"
    yield f"cd cloned && git config user.email a@example.org && git config user.name A && git commit -q --allow-empty -m x && GIT_SSH_COMMAND='{ssh}' git push -q"
    yield "ssh-keygen -q -t ed25519 -N '' -f throwaway && ssh-keygen -lf throwaway.pub && rm throwaway*"
    yield from each(f"{ssh} @ {{host}} true", "-v -o LogLevel=ERROR", "-T", "-x -a", "-o ConnectTimeout=3", "-4", "-C")


SECTIONS = {
    "files": files,
    "git": git,
    "shell": shell,
    "python": python,
    "c_and_make": c_and_make,
    "node": node,
    "rust": rust,
    "editors": editors,
    "servers": servers,
    "archives": archives,
    "databases": databases,
    "remote": remote,
}
