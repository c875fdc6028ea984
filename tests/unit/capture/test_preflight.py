"""What is said when probes cannot be loaded: which thing is missing, and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracer.capture import preflight
from tracer.capture.preflight import BTF_VARIABLE, KERNEL_BTF, check_btf, check_privileges
from tracer.errors import KernelError, PrivilegeError

SYS_ADMIN, PERFMON, BPF = 1 << 21, 1 << 38, 1 << 39


@pytest.mark.parametrize("capabilities", [SYS_ADMIN, PERFMON | BPF, 2**41 - 1])
def test_enough(capabilities: int) -> None:
    check_privileges(capabilities)


@pytest.mark.parametrize(
    ("capabilities", "missing"),
    [(0, "CAP_PERFMON and CAP_BPF missing"), (BPF, "CAP_PERFMON missing"), (PERFMON, "CAP_BPF missing")],
)
def test_what_is_missing_is_named_with_the_remedy(capabilities: int, missing: str) -> None:
    with pytest.raises(PrivilegeError, match=f"^{missing}.*sudo") as raised:
        check_privileges(capabilities)
    assert "\n" not in str(raised.value)


def test_a_user_namespace_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its root has every capability, and none that counts."""
    monkeypatch.setattr(preflight, "in_user_namespace", lambda: True)
    assert preflight.effective_capabilities() == 0
    with pytest.raises(PrivilegeError, match=r"user namespace.*outside"):
        check_privileges(0)


def test_no_type_information(tmp_path: Path) -> None:
    missing = tmp_path / "none"
    with pytest.raises(KernelError, match=f"no kernel type information.*{missing}.*CONFIG_DEBUG_INFO_BTF"):
        check_btf({BTF_VARIABLE: str(missing)})


def test_type_information_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "btf"
    file.touch()
    assert check_btf({BTF_VARIABLE: str(file)}) == file


@pytest.mark.skipif(not KERNEL_BTF.exists(), reason="this kernel has no BTF")
def test_the_kernels_own_is_the_default() -> None:
    assert check_btf({}) is None
