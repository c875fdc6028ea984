"""The layout of the probes as they are built: bytes that a C compiler wrote, read by us."""

from __future__ import annotations

import copy
import struct
from typing import Any

import pytest

from tests import wire
from tracer.capture import layout
from tracer.capture.btf import Btf, BtfKind
from tracer.capture.core import OBJECT
from tracer.capture.decode import RecordDecoder
from tracer.capture.libbpf import Object
from tracer.errors import KernelError
from tracer.records import Kind


@pytest.fixture(scope="module")
def raw() -> bytes:
    """Opening an object needs no privilege; loading it does."""
    opened = Object(OBJECT)
    try:
        return opened.btf()
    finally:
        opened.close()


@pytest.fixture(scope="module")
def built(raw: bytes) -> dict[str, Any]:
    return layout.layout_of(Btf(raw))


def test_the_decoder_takes_the_built_layout(built: dict[str, Any]) -> None:
    RecordDecoder(built)
    assert built["structs"].keys() == wire.STRUCTS.keys()


def test_fields_lie_as_the_compiler_put_them(built: dict[str, Any]) -> None:
    """struct rb_fork and rb_peer in abi.h, counted by hand."""
    fork = {name: (offset, code) for name, offset, code in built["structs"]["fork"]["fields"]}
    assert fork["head.time_ns"] == (0, "Q")
    assert fork["head.kind"] == (24, "H")
    assert fork["head.result"] == (32, "i")
    assert fork["parent_start_ns"] == (40, "Q")
    connect = {name: (offset, code) for name, offset, code in built["structs"]["connect"]["fields"]}
    assert connect["peer.daddr"] == (40, "16s")
    assert connect["peer.protocol"][0] == connect["peer.daddr"][0] + 38


def test_no_field_overlaps_another_or_the_end(built: dict[str, Any]) -> None:
    for struct_ in built["structs"].values():
        position = 0
        for _name, offset, code in struct_["fields"]:
            assert offset >= position
            position = offset + struct.calcsize(f"<{code}")
        assert position <= struct_["bytes"]
        assert struct_["bytes"] % 8 == 0


def test_losses_have_names(raw: bytes) -> None:
    losses = layout.losses_of(Btf(raw))
    assert losses["RB_FORK"] == Kind.FORK
    assert losses["RB_LOST_SCRATCH"] > Kind.CHOWN
    assert losses["RB_LOSS_COUNT"] == max(losses.values())


def test_variables_have_places(raw: bytes) -> None:
    variables = Btf(raw).variables(".bss")
    assert variables["wanted"][1] == 16


@pytest.mark.parametrize("name", ["kind", "flag"])
def test_enums_that_differ_are_refused(raw: bytes, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Btf.enumerators

    def changed(self: Btf, type_id: int) -> dict[str, int]:
        found = copy.copy(original(self, type_id))
        for key in ("RB_FORK", "RB_LATE"):
            if key in found:
                found[key] += 1
        return found

    monkeypatch.setattr(Btf, "enumerators", changed)
    with pytest.raises(KernelError, match="from another version"):
        layout.layout_of(Btf(raw))


def test_what_is_no_btf_is_refused(raw: bytes) -> None:
    for data in (b"", b"abc", bytes(100), raw[:100], raw[: len(raw) // 2]):
        with pytest.raises(KernelError):
            layout.layout_of(Btf(data))


def test_a_type_that_is_missing_is_named(raw: bytes) -> None:
    with pytest.raises(KernelError, match="no struct rb_nothing"):
        Btf(raw).find(BtfKind.STRUCT, "rb_nothing")
