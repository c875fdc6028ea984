"""Directory and name -> path, by the letters alone: no file system is asked."""

from __future__ import annotations

import re

# A component that is empty, "." or "..", or a slash at the end.
_ODD = re.compile(r"(?:^|/)\.{0,2}(?:/|\Z)")


def joined(base: str, name: str) -> str:
    """The absolute path of `name`, which a program gave, relative to `base`, a path of the kernel's.

    For a name that begins with a slash `base` is the root directory of the process (path_resolution(7)): in a
    chroot at /jail, "/etc/x" is /jail/etc/x, and no ".." leads out of it. For any other name it is the
    directory the name is looked up in, and ".." stops at the root of the mount namespace, since the process's
    own root is not known. Without a name the path is `base`; without a base it is the name as given. A base
    without a slash in front was too long and lacks its beginning; so does the path.

    "." and ".." are resolved by the letters, and a slash at the end is dropped. Where a component is a
    symbolic link, the kernel ends up elsewhere: `links` knows those that were made under watch. It can only
    happen in names, never in the kernel's own paths, and events whose path has a part read from the caller
    say so by `Evidence.USER`.
    """
    absolute = name.startswith("/")
    relative = name[1:] if absolute else name
    if not relative:
        return base
    if not base:
        return name
    prefix = "" if base == "/" else base
    if not _ODD.search(relative):
        return f"{prefix}/{relative}"
    if absolute:
        below = "/".join(_resolved([], relative))
        return f"{prefix}/{below}" if below else base
    above = [component for component in base.split("/") if component]
    return ("/" if base.startswith("/") else "") + "/".join(_resolved(above, relative))


def _resolved(kept: list[str], relative: str) -> list[str]:
    for component in relative.split("/"):
        if component == "..":
            del kept[-1:]
        elif component not in ("", "."):
            kept.append(component)
    return kept
