# SPDX-License-Identifier: GPL-2.0-only
"""Variants that were built, in the user's cache: KVM's modules, and the kernel that they belong to."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from pfncache import user_cache as cache
from pfncache.kernels import debian
from pfncache.kernels.apt import SUITES
from pfncache.kernels.image import Changes, Image

_FILE = "image.json"
_SOURCE = "source"
_SHOWN = 32
"""Characters of a name that are shown or kept."""
_STRIP_SECONDS = 60.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_OTHER = re.compile(r"[^A-Za-z0-9._+-]+")
_RELEASE = re.compile(r"[0-9]+(\.[0-9]+)*([-.+~]?rc[0-9]+|[^ ]*-amd64)?")
"""What is read as the version or the release of a stock kernel: 7, 7.3, 7.4-rc1, 7.3.4+deb13-amd64."""
_EXAMPLE = "use one like my-series"


class BadName(ValueError):
    """A name that no variant may have. The message is one line."""


def check_name(name: str) -> None:
    """Raise BadName for a name that is no plain path component, or that means another kernel."""
    if not name:
        raise BadName(f"a kernel cannot have an empty name; {_EXAMPLE}")
    if not _NAME.fullmatch(name):
        shown = repr(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}...")
        allowed = "letters, digits and ._+-, a letter or digit first, at most 64"
        raise BadName(f"{shown} is no name for a kernel: {allowed}; {_EXAMPLE}")
    stock = [image.release for image in debian.fetched()]
    if name == "host" or name in SUITES:
        raise BadName(f"{name!r} is no name for a kernel: it means another one; {_EXAMPLE}")
    if _RELEASE.fullmatch(name) or any(debian.matches(release, name) for release in stock):
        raise BadName(f"{name!r} is no name for a kernel: it would hide the stock one; {_EXAMPLE}")


def default_name(release: str, series: str, debug: bool) -> str:
    """Return the name of a variant by the kernel's version, the file name of its series, and its flavour."""
    version = release.split("+", 1)[0]
    parts = [_OTHER.sub("-", series)[:_SHOWN].strip("-"), "debug" if debug else ""]
    return "+".join([version, *(part for part in parts if part)] if any(parts) else [version, "protected"])


def folder() -> Path:
    """Return the folder of variants."""
    return cache.root() / "variants"


def save(
    name: str,
    release: str,
    vmlinuz: Path,
    modules: Path | None,
    replaced: Iterable[Path],
    changes: Changes | None = None,
) -> Image:
    """Save a variant under a name, which replaces a previous one once it is complete. Raises BadName.

    A vmlinuz without modules is copied, and so are the files that a series has changed.
    """
    check_name(name)
    where = folder() / name
    with cache.complete(where) as part:
        for path in replaced:
            command = ["strip", "--strip-debug", "-o", str(part / path.name), str(path)]
            subprocess.run(command, check=True, capture_output=True, timeout=_STRIP_SECONDS)
        if modules is None:
            shutil.copy(vmlinuz, part / "vmlinuz")
        described: dict[str, object] = {"release": release, "stock": str(vmlinuz.parent) if modules is not None else ""}
        if changes is not None:
            described |= {"source": changes.release, "changed": list(changes.names)}
            shutil.copytree(changes.folder, part / _SOURCE)
        (part / _FILE).write_text(json.dumps(described))
    return load(name)


def names() -> list[str]:
    """Return the names of variants."""
    return sorted(path.parent.name for path in folder().glob(f"[!.]*/{_FILE}"))


def load(name: str) -> Image:
    """Return a variant by name."""
    where = folder() / name
    described = json.loads((where / _FILE).read_text())
    stock = Path(described["stock"]) if described["stock"] else where
    modules = stock / "modules" if described["stock"] else None
    changes = None
    if "source" in described:
        changes = Changes(described["source"], where / _SOURCE, tuple(described["changed"]))
    return Image(name, described["release"], stock / "vmlinuz", modules, where, changes=changes)
