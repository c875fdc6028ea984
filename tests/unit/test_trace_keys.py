"""Keys: made once, kept to their owner, and as OpenSSH has them."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tracer.errors import RubiconError, UsageError
from tracer.trace import Keyring, PublicKey, SigningKey, default_keys_folder, read_public_key
from tracer.trace.keys import OWN


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "a/keys")


def test_made_on_first_use_and_kept(keyring: Keyring) -> None:
    assert keyring.known() == {}
    own = keyring.own()
    assert keyring.own().public == own.public
    assert keyring.known() == {own.public: OWN}
    assert stat.S_IMODE(keyring.private_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(keyring.folder.stat().st_mode) == 0o700
    assert sorted(os.listdir(keyring.folder)) == ["seal", "seal.pub"]
    keyring.public_path.unlink()
    keyring.own()
    assert read_public_key(keyring.public_path) == own.public


def test_a_signature(keyring: Keyring) -> None:
    own, other = keyring.own(), SigningKey.generate()
    signature = own.sign(b"x")
    assert own.public.signed(b"x", signature)
    assert not own.public.signed(b"y", signature)
    assert not other.public.signed(b"x", signature)


def test_a_key_that_others_can_read_is_refused(keyring: Keyring) -> None:
    keyring.own()
    keyring.private_path.chmod(0o640)
    with pytest.raises(RubiconError, match=r"open to others \(mode 0640\): chmod 600"):
        keyring.own()


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff" * 5000])
def test_a_broken_key_is_told(keyring: Keyring, content: bytes) -> None:
    keyring.folder.mkdir(parents=True)
    keyring.private_path.touch(0o600)
    keyring.private_path.write_bytes(content)
    with pytest.raises(RubiconError, match="cannot be used"):
        keyring.own()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RubiconError, match="Not a directory"):
        Keyring(tmp_path / "file/keys").own()


def test_two_that_make_it_at_once_have_the_same(keyring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Keyring(keyring.folder)
    first: list[PublicKey] = []
    generate = SigningKey.generate

    def late() -> SigningKey:
        if not first:
            monkeypatch.setattr(SigningKey, "generate", generate)
            first.append(other.own().public)
        return generate()

    monkeypatch.setattr(SigningKey, "generate", late)
    assert keyring.own().public == first[0]
    assert sorted(os.listdir(keyring.folder)) == ["seal", "seal.pub"]


def test_replacing_keeps_what_was_sealed_good(keyring: Keyring) -> None:
    old = keyring.own().public
    new = keyring.replace().public
    assert old != new
    known = keyring.known()
    assert known[new] == OWN
    assert known[old].startswith("replaced-")


def test_trust(keyring: Keyring) -> None:
    key = SigningKey.generate().public
    keyring.trust(key, "build-host")
    (keyring.folder / "trusted/broken.pub").write_text("nothing")
    assert keyring.known() == {key: "build-host"}
    for name in ("", ".", "../x", "a/b"):
        with pytest.raises(UsageError):
            keyring.trust(key, name)


def test_only_ed25519(tmp_path: Path) -> None:
    for text in ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQC7", "hello", ""):
        with pytest.raises(ValueError, match="key"):
            PublicKey.parse(text)


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="there is no ssh-keygen to compare with")
def test_as_openssh_has_it(keyring: Keyring) -> None:
    own = keyring.own()
    for path in (keyring.private_path, keyring.public_path):
        shown = subprocess.run(
            ["ssh-keygen", "-l", "-f", str(path)], capture_output=True, text=True, check=True
        ).stdout
        assert own.public.fingerprint in shown


def test_the_folder() -> None:
    assert default_keys_folder({"RUBICON_KEYS": "/k"}) == Path("/k")
    assert default_keys_folder({"XDG_CONFIG_HOME": "/c"}) == Path("/c/rubicon/keys")
