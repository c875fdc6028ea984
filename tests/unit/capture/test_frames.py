"""What older kernels refuse: the stack as those before 6.13 count it, loops before 6.7; ours takes more."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.unit.capture.compiled import Chain, chains, loops
from tracer.capture.core import OBJECT

BYTES_MAX = 512 - 32  # MAX_BPF_STACK, include/linux/filter.h, and room for a frame more


@pytest.fixture(scope="module")
def found() -> dict[str, Chain]:
    return chains(OBJECT)


def test_no_chain_of_calls_is_too_deep_for_older_kernels(found: dict[str, Chain]) -> None:
    too_deep = {name: chain for name, chain in found.items() if chain.bytes > BYTES_MAX}
    assert too_deep == {}


def test_chains_go_through_calls_and_callbacks(found: dict[str, Chain]) -> None:
    assert found["on_sys_exit"].bytes > 200
    assert ("walk_path", "walk_step") in {
        tuple(name for name, _bytes in chain.frames[-2:]) for chain in found.values()
    }


def test_no_loop_comes_back_from_anything_but_a_jump() -> None:
    assert loops(OBJECT) == []


def test_such_a_loop_is_found(tmp_path: Path) -> None:
    """One that is entered in the middle and comes back to its beginning behind a call."""
    code = """
        int f(void *ctx);
        __attribute__((section("tc"), naked)) int f(void *ctx)
        {
            asm volatile("r6 = 0; goto 2f; 1: call 5; 2: r6 += 1; if r6 < 8 goto 1b; r0 = 0; exit" ::: "r6");
        }
    """
    (tmp_path / "loop.c").write_text(code)
    command = ["clang", "-O2", "-target", "bpf", "-c", "loop.c", "-o", "loop.o"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert loops(tmp_path / "loop.o") == ["f"]
