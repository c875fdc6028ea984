"""The user's own settings: `rubicon/config.toml` in the XDG configuration folder, if it is there.

[notify]                    what a screen does when a rule is broken while it looks
bell = false                the terminal's bell
osc9 = false                a message to the terminal (OSC 9), which may put it on the desktop
every_seconds = 10          of one level at most once in this time
[notify.command]            run by sh, by level: low, medium ...; see `tui.notify` for what it is told
critical = 'notify-send "$RUBICON_RULE" "$RUBICON_SUMMARY"'
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tracer.errors import UsageError
from tracer.events import Level
from tracer.text import printable


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Notify(_Section):
    bell: bool = False
    osc9: bool = False
    every_seconds: float = Field(default=10.0, ge=0)
    command: dict[Level, str] = {}


class Config(_Section):
    notify: Notify = Notify()


def config_path(environment: Mapping[str, str] = os.environ) -> Path:
    folder = environment.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(folder) / "rubicon" / "config.toml"


def read_config(path: Path | None = None) -> Config:
    """A file that is not there says nothing. Raises UsageError with every mistake of one that is."""
    path = path or config_path()
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Config()
    except OSError as error:
        raise UsageError(f"cannot read {printable(str(path))}: {error.strerror}") from None
    try:
        return Config.model_validate(tomllib.loads(data.decode()))
    except ValidationError as error:
        mistakes = [
            f"{printable(str(path))}: {'.'.join(map(str, each['loc']))}: {each['msg']}"
            for each in error.errors(include_url=False)
        ]
        raise UsageError("\n".join(map(printable, mistakes))) from None
    except ValueError as error:  # no UTF-8, no TOML
        raise UsageError(f"{printable(str(path))}: {printable(str(error))}") from None
