"""A policy from what was done: it allows that, says where each line came from, and notices anything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given as given_values
from hypothesis import settings
from hypothesis import strategies as st

from tests.unit.rules.made import bounded, connected, connected_unix, file, process, ran
from tracer.events import Action, Event
from tracer.rules import Given, RuleSet, load_rules
from tracer.rules.generalise import component_pattern, endpoint_entries, path_patterns, placed
from tracer.rules.globs import compile_globs
from tracer.rules.learn import Learning

MACHINE = {"workspace": ("/home/ada/work",), "home": ("/home/ada",), "resolvers": ("192.0.2.53:53",)}


def learned(folder: Path, *events: Event, name: str = "learned") -> tuple[str, RuleSet]:
    learning = Learning()
    learning.begin("good.trace", MACHINE)
    for event in events:
        learning.take(event)
    text = learning.policy(name)
    (folder / "learned.yaml").write_text(text, encoding="utf-8")
    return text, load_rules(folder / "learned.yaml", [], packs=False, given=Given(MACHINE))


def lines(text: str, section: str) -> list[str]:
    """The entries of a list, without their comments."""
    after = text.partition(f"  {section}:\n")[2].splitlines()
    found = []
    for line in after:
        if not line.startswith("    - "):
            break
        found.append(line.removeprefix("    - ").partition("  #")[0].rstrip())
    return found


GOOD = [
    file("/home/ada/work/src/a.py"),
    file("/home/ada/work/.git/index.lock", created=True),
    file("/tmp/tmpab12cd_x", Action.FILE_MKDIR),
    file("/tmp/tmpab12cd_x/out-4711.log"),
    file("/home/ada/.cache/pip/http/0123456789abcdef"),
    file("/home/ada/work/b", Action.FILE_RENAME, original="/tmp/b.tmp"),
    file("/dev/null"),
    ran("git", "status"),
    ran("python3.11", "-V"),
    ran("./t", path="/home/ada/work/t"),
    connected("127.0.0.1", 40123),
    connected("192.0.2.53", 53, transport="udp"),
    connected("198.51.100.4", 443, "pypi.org"),
    connected("198.51.100.4", 80, "pypi.org"),
    connected("203.0.113.9", 22),
    connected_unix("/run/nscd/socket"),
]


def test_what_was_done_is_allowed_and_nothing_else(tmp_path: Path) -> None:
    text, rules = learned(tmp_path, *GOOD)
    assert lines(text, "write") == [
        "${home}/.cache/pip/http/*",
        "${workspace}/**",
        "/tmp/b.tmp",
        "/tmp/tmp*",
        "/tmp/tmp*/out-*.log",
    ]
    assert lines(text, "connect") == ["${resolvers}", "203.0.113.9:22", "localhost", "pypi.org:80,443"]
    assert lines(text, "exec") == ["${workspace}/**", "/usr/bin/git", "/usr/bin/python*"]
    assert "mounts" not in text
    for event in GOOD:
        assert rules.judge(event) == ()
    foreign = [
        file("/home/ada/.ssh/authorized_keys"),
        file("/etc/cron.d/x"),
        ran("nc", "-l"),
        connected("198.51.100.5", 443, "evil.example"),
        connected("203.0.113.9", 23),
        bounded(Action.MOUNT, path="/mnt"),
    ]
    assert [len(rules.judge(event)) for event in foreign] == [1] * len(foreign)


def test_each_line_says_where_it_came_from(tmp_path: Path) -> None:
    refused = file("/etc/shadow", error=13, who=process("/usr/bin/vi"))
    text, _ = learned(tmp_path, *[file("/srv/a", who=process("/usr/bin/cp"))] * 3, refused)
    assert text.splitlines()[7:9] == [
        f"{'    - /etc/shadow':<48}  # 1 by vi, 1 refused; first file_write /etc/shadow in good.trace",
        f"{'    - /srv/a':<48}  # 3 by cp; first file_write /srv/a in good.trace",
    ]


def test_who_made_a_sandbox_may_again(tmp_path: Path) -> None:
    maker = process("/usr/bin/bwrap", ("bwrap",))
    text, rules = learned(tmp_path, bounded(Action.MOUNT, who=maker, path="/newroot"))
    assert lines(text, "mounts") == ["/usr/bin/bwrap"]
    assert not rules.judge(bounded(Action.PIVOT_ROOT, who=maker))
    assert rules.judge(bounded(Action.MOUNT))


def test_of_nothing_is_learned_that_nothing_may_be_done(tmp_path: Path) -> None:
    text, rules = learned(tmp_path)
    assert text.endswith("files:\n  write: []\n\nnetwork:\n  connect: []\n\nprocess:\n  exec: []\n")
    assert rules.judge(ran("git"))


def test_many_entries_become_their_folder(tmp_path: Path) -> None:
    written = [file(f"/home/ada/.npm/_cacache/{name}/x") for name in "abcdefgh"]
    etc = [file(f"/etc/{name}") for name in "abcdefgh"]
    text, _ = learned(tmp_path, *written, *etc)
    assert lines(text, "write")[:2] == ["${home}/.npm/**", "/etc/a"], "a folder of the system is never whole"
    assert len(lines(text, "write")) == 1 + len(etc)


def test_hostile_names(tmp_path: Path) -> None:
    """What was traced can write neither lines of the policy nor variables, patterns or escapes into it."""
    names = [
        "/srv/a\n  mounts: [/**]",
        "/srv/${home}/[x]*?\\",
        "/srv/#  - /**",
        "/srv/\udcff\x1b[31m",
        "/srv/ü: x",
    ]
    events = [file(name, who=process("/usr/bin/\n- x")) for name in names]
    text, rules = learned(tmp_path, *events, name="evil\n# name")
    assert all(line.isprintable() for line in text.splitlines())
    assert rules.policy is not None
    assert rules.policy.files.mounts is None
    assert all(rules.judge(event) == () for event in events)
    assert rules.judge(file("/home/ada/x"))
    assert rules.judge(file("/srv/home/x"))
    assert rules.judge(file("/srv/${home}/xyz"))


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("tmpab12cd_x", "tmp*"),
        ("tmp_u_wy4ulcacert.pem", "tmp*cacert.pem"),
        ("ccXf3a9Q.o", "cc*.o"),
        ("collect2", "collect2"),
        ("tmp.X7aQ2bLm9Z", "tmp.*"),
        ("pip-install-5kyy_qxi", "pip-install-*"),
        ("a-12.3.4-py3.whl", "a-*-py3.whl"),
        ("python3.11", "python*"),
        ("4711", "*"),
        ("job-4711.log", "job-*.log"),
        ("deadbeef0", "*"),
        ("123e4567-e89b-42d3-a456-426614174000.lock", "*.lock"),
        ("x86_64-linux-gnu", "x86_64-linux-gnu"),
        (".bashrc_not", ".bashrc_not"),
        ("authorized_keys", "authorized_keys"),
        ("known_hosts2", "known_hosts2"),
        ("README.Markdown", "README.Markdown"),
        ("temporary", "temporary"),
        ("defaced", "defaced"),
        ("feedface", "feedface"),
    ],
)
def test_names_that_are_made_up(name: str, pattern: str) -> None:
    assert component_pattern(name) == pattern


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("efj_dtfh", "????????"),
        ("pip-unpack-kxgakaqs", "pip-unpack-*"),
        ("tmpabcdefgh", "tmp*"),
        ("tmp_u_wy4ulcacert.pem", "tmp*cacert.pem"),
        ("ccXfaaQQ.o", "cc*.o"),
        ("notes.txt", "notes.txt"),
    ],
)
def test_names_that_are_made_up_among_temporary_files(name: str, pattern: str) -> None:
    assert component_pattern(name, temporary=True) == pattern
    assert list(path_patterns([("", f"/tmp/{name}/a")])) == [f"/tmp/{pattern}/a"]
    assert list(path_patterns([placed(f"/tmp/{name}", {"/tmp": "/tmp"})])) == [f"/tmp/{pattern}"]


@settings(max_examples=200, deadline=None)
@given_values(
    st.lists(
        st.lists(
            st.text("aZ019._-*?[]\\{$}!x \udc80é", min_size=1, max_size=14).filter(
                lambda name: name not in (".", "..")
            ),
            min_size=1,
            max_size=4,
        ).map(lambda names: "/" + "/".join(names)),
        max_size=12,
    )
)
def test_patterns_match_what_they_were_made_of(paths: list[str]) -> None:
    for pattern, its in path_patterns([placed(path, {"/a": "/a"}) for path in paths]).items():
        matches = compile_globs([pattern.replace("$${", "${")])
        assert all(matches(root + rest) for root, rest in its)
    found = path_patterns([placed(path, {}) for path in paths])
    assert sorted(path for its in found.values() for _root, path in its) == sorted(paths)


def test_names_of_one_domain() -> None:
    peers = [(f"{name}.cdn.example.org", "192.0.2.1", 443) for name in "abcd"]
    few = [(f"{name}.example.net", "192.0.2.1", 443) for name in "abc"]
    top = [(f"{name}.org", "192.0.2.1", 443) for name in "abcd"]
    second = endpoint_entries([(f"{name}.co.uk", "192.0.2.1", 443) for name in "abcd"])
    assert sorted(second) == [f"{name}.co.uk:443" for name in "abcd"]  # of four owners
    assert sorted(endpoint_entries([*peers, *few, *top])) == [
        *("*.cdn.example.org:443", "a.example.net:443", "a.org:443", "b.example.net:443", "b.org:443"),
        *("c.example.net:443", "c.org:443", "d.org:443"),
    ]


def test_ports() -> None:
    peers = [("", "2001:db8::1", port) for port in (22, 80)]
    assert list(endpoint_entries(peers)) == ["[2001:db8::1]:22,80"]
    assert list(endpoint_entries([("h.example", "", port) for port in range(1, 9)])) == ["h.example"]


def test_each_trace_has_a_workspace_and_a_home_of_its_own() -> None:
    learning = Learning()
    learning.begin("one.trace", MACHINE)
    learning.take(file("/home/ada/work/a"))
    learning.begin(
        "two.trace", {"workspace": ("/srv/two",), "home": ("/root",), "resolvers": ("10.0.0.1:53",)}
    )
    for event in (
        file("/srv/two/b"),
        file("/root/.cache/x"),
        file("/home/ada/work/c"),
        connected("10.0.0.1", 53, transport="udp"),
        connected("192.0.2.53", 53, transport="udp"),
    ):
        learning.take(event)
    text = learning.policy("learned")
    assert lines(text, "write") == ["${home}/.cache/x", "${workspace}/**", "/home/ada/work/c"]
    assert lines(text, "connect") == ["${resolvers}", "192.0.2.53:53"]
    assert "first file_write /home/ada/work/c in two.trace" in text


@pytest.mark.parametrize(
    "name", ["2024", "null", "a: b", "#", "- x", "\N{GRINNING FACE}", "'", "1e3", "~", ""]
)
def test_a_name_stays_a_name(tmp_path: Path, name: str) -> None:
    assert learned(tmp_path, *GOOD, name=name)[1].policy.name == name  # type: ignore[union-attr]
