"""scripts/deploy: the unit by systemd's own judgement, the manifest by its fields."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tracer.cli.privileges import ENFORCING, ENGINE

DEPLOY = Path(__file__).parents[2] / "scripts/deploy"
UNIT = DEPLOY / "rubicon@.service"
EXPOSURE_MAX = 40  # of 100, for a service that is root and sees all processes


def settings() -> dict[str, str]:
    lines = [line.partition("=") for line in UNIT.read_text().splitlines() if line[:1].isalpha()]
    return {name: value for name, _, value in lines}


def analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    if not shutil.which("systemd-analyze"):
        pytest.skip("this machine has no systemd-analyze")
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The unit with a program that is there, as it is looked for."""
    unit = tmp_path / "rubicon@.service"
    unit.write_text(UNIT.read_text().replace("/opt/rubicon/.venv/bin/python", "/bin/true"))
    return unit


def test_the_unit_is_right(installed: Path) -> None:
    done = analyze("verify", "--man=no", installed)
    about_it = [line for line in done.stderr.splitlines() if "rubicon" in line]
    assert (about_it, done.returncode) == ([], 0)


def test_the_unit_is_hardened(installed: Path) -> None:
    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE_MAX}", "--no-pager", installed)
    assert done.returncode == 0, done.stdout + done.stderr


def test_both_have_the_rights_of_the_engine() -> None:
    assert set(settings()["CapabilityBoundingSet"].split()) == {f"CAP_{each}" for each in ENGINE}
    assert settings()["NoNewPrivileges"] == "yes"
    assert settings()["ProtectSystem"] == "strict"
    context = container()["securityContext"]
    assert context["capabilities"] == {"drop": ["ALL"], "add": context["capabilities"]["add"]}
    assert set(context["capabilities"]["add"]) == ENGINE.keys()
    assert not ENFORCING.keys() & ENGINE.keys()


def pod() -> Any:
    namespace, daemons = yaml.safe_load_all((DEPLOY / "daemonset.yaml").read_text())
    assert (namespace["kind"], daemons["kind"], daemons["apiVersion"]) == (
        "Namespace",
        "DaemonSet",
        "apps/v1",
    )
    assert daemons["metadata"]["namespace"] == namespace["metadata"]["name"]
    template = daemons["spec"]["template"]
    assert daemons["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
    return template["spec"]


def container() -> Any:
    (only,) = pod()["containers"]
    return only


def test_the_manifest() -> None:
    spec, main = pod(), container()
    assert spec["hostPID"] is True
    assert not {"hostNetwork", "hostIPC"} & spec.keys()
    assert spec["automountServiceAccountToken"] is False
    context = main["securityContext"]
    assert (context["privileged"], context["allowPrivilegeEscalation"]) == (False, False)
    assert context["readOnlyRootFilesystem"] is True
    assert {"cpu", "memory"} == main["resources"]["limits"].keys() == main["resources"]["requests"].keys()
    mounts = {each["name"]: each for each in main["volumeMounts"]}
    volumes = {each["name"]: each["hostPath"]["path"] for each in spec["volumes"]}
    assert {name: each["mountPath"] for name, each in mounts.items()} == volumes
    assert mounts["btf"]["readOnly"] is True


def test_they_start_what_there_is() -> None:
    """The same command as scripts/rubicon, with options that exist."""
    command = [*container()["command"], *container()["args"]]
    assert settings()["ExecStart"].split() == [*command[:-1], "%I"]
    assert command[1:5] == ["-I", "/opt/rubicon/tracer/cli/__main__.py", "attach", "--no-tui"]
