"""The stack of the probes, as kernels before 6.13 count it; the kernel at hand may be more generous."""

from __future__ import annotations

import pytest

from tests.unit.capture.compiled import Chain, chains
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
