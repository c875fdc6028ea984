"""The keys of seals: our own, made on first use, and those of others that are trusted.

Ed25519 (RFC 8032), in the files of OpenSSH, so that ssh-keygen(1) shows, compares and converts them:

    FOLDER/seal             our own, mode 0600
    FOLDER/seal.pub         its public half
    FOLDER/trusted/*.pub    public halves of other machines, and of our own keys that were replaced
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tracer.errors import RubiconError, UsageError
from tracer.text import printable

OWN = "this machine's key"
_KEY_BYTES_MAX = 4096  # of a key file


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The 32 bytes of an Ed25519 public key."""

    raw: bytes

    @classmethod
    def parse(cls, line: str) -> PublicKey:
        """From a line of OpenSSH: "ssh-ed25519 AAAA... comment". Raises ValueError when it is no such key."""
        try:
            key = forms.load_ssh_public_key(line.encode())
        except (ValueError, UnsupportedAlgorithm):
            raise ValueError("not a public key of OpenSSH") from None
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError("not an ed25519 key")  # noqa: TRY004  the text is wrong, not a type of ours
        return cls(key.public_bytes_raw())

    @property
    def line(self) -> str:
        """As `parse` takes it, without a comment."""
        key = Ed25519PublicKey.from_public_bytes(self.raw)
        return key.public_bytes(forms.Encoding.OpenSSH, forms.PublicFormat.OpenSSH).decode()

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` shows it."""
        digest = hashlib.sha256(base64.b64decode(self.line.split()[1])).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's, of this message."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """A key of our own."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = PublicKey(private.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> SigningKey:
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def parse(cls, data: bytes) -> SigningKey:
        """From a private key file of OpenSSH. Raises ValueError when it is none, or has a passphrase."""
        try:
            key = forms.load_ssh_private_key(data, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError("not a private key of OpenSSH without a passphrase") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("not an ed25519 key")  # noqa: TRY004  the bytes are wrong, not a type of ours
        return cls(key)

    def dump(self) -> bytes:
        return self._private.private_bytes(
            forms.Encoding.PEM, forms.PrivateFormat.OpenSSH, forms.NoEncryption()
        )

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._private.sign(message)


def default_keys_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """$RUBICON_KEYS, or rubicon/keys where XDG wants configuration (XDG Base Directory Specification 0.8)."""
    if chosen := environment.get("RUBICON_KEYS"):
        return Path(chosen)
    config = environment.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(config) / "rubicon" / "keys"


class Keyring:
    """The folder of keys. Nothing is made in it but by `own`, `replace` and `trust`."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_keys_folder()

    @property
    def private_path(self) -> Path:
        return self.folder / "seal"

    @property
    def public_path(self) -> Path:
        return self.folder / "seal.pub"

    def own(self) -> SigningKey:
        """Our key, made if there is none yet. Raises RubiconError when it cannot be read, made or trusted."""
        while (key := self._read_own()) is None:
            self._keep(SigningKey.generate())
        if _public_key(self.public_path) != key.public:
            with _failing(self.public_path):
                self.public_path.write_text(f"{key.public.line} rubicon@{os.uname().nodename}\n", "utf-8")
        return key

    def replace(self) -> SigningKey:
        """A new key of our own; the public half of the old one stays trusted."""
        if (old := self._read_own()) is not None:
            self.trust(old.public, f"replaced-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}")
            self.private_path.unlink()
        return self.own()

    def trust(self, key: PublicKey, name: str) -> Path:
        """Keep the public key of somebody else; its file gets the name. Raises UsageError, RubiconError."""
        if not name or name != os.path.basename(name) or name.startswith("."):
            raise UsageError(f"{printable(name)} cannot be the name of a key")
        path = self.folder / "trusted" / f"{name}.pub"
        with _failing(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_text(f"{key.line} {name}\n", "utf-8", "surrogateescape")
        return path

    def known(self) -> dict[PublicKey, str]:
        """All keys that are trusted, and what to call them. A file that holds no key is passed over."""
        paths = sorted((self.folder / "trusted").glob("*.pub"))
        found = {key: path.stem for path in paths if (key := _public_key(path)) is not None}
        if (own := _public_key(self.public_path)) is not None:
            found[own] = OWN
        return found

    def _read_own(self) -> SigningKey | None:
        with _failing(self.private_path):
            try:
                with open(self.private_path, "rb") as file:
                    mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                    data = file.read(_KEY_BYTES_MAX)
            except FileNotFoundError:
                return None
        path = printable(str(self.private_path))
        if mode & 0o077:
            raise RubiconError(f"the key {path} is open to others (mode {mode:04o}): chmod 600 {path}")
        try:
            return SigningKey.parse(data)
        except ValueError as error:
            raise RubiconError(f"the key {path} cannot be used: {error}") from None

    def _keep(self, key: SigningKey) -> None:
        """Put it in place, whole, unless another process has just done so."""
        with _failing(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".seal-") as file:  # mode 0600
                file.write(key.dump())
                file.flush()
                os.fsync(file.fileno())
                with suppress(FileExistsError):
                    os.link(file.name, self.private_path)


class _failing:  # noqa: N801  it reads as a word of the `with` line
    """OSError -> RubiconError that names the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise RubiconError(f"keys: {printable(str(self._path))}: {error.strerror}") from None


def read_public_key(path: Path) -> PublicKey:
    """The key in a file the user named. Raises UsageError."""
    try:
        text = path.read_text("utf-8")
        return PublicKey.parse(text)
    except OSError as error:
        raise UsageError(f"cannot read the key {printable(str(path))}: {error.strerror}") from None
    except ValueError as error:
        reason = "it is not text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise UsageError(f"no key in {printable(str(path))}: {reason}") from None


def _public_key(path: Path) -> PublicKey | None:
    with suppress(UsageError):
        return read_public_key(path)
    return None
