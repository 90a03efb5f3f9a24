# SPDX-License-Identifier: GPL-2.0-only
"""Variants that were built, in the user's cache: KVM's modules, and the kernel that they belong to."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from pfncache import user_cache as cache
from pfncache.kernels.image import Image

_FILE = "image.json"
_STRIP_SECONDS = 60.0


def folder() -> Path:
    """Return the folder of variants."""
    return cache.root() / "variants"


def save(name: str, release: str, vmlinuz: Path, modules: Path | None, replaced: Iterable[Path]) -> Image:
    """Save a variant under a name, which replaces a previous one. A vmlinuz without modules is copied."""
    where = folder() / name
    with cache.complete(where) as part:
        for path in replaced:
            command = ["strip", "--strip-debug", "-o", str(part / path.name), str(path)]
            subprocess.run(command, check=True, capture_output=True, timeout=_STRIP_SECONDS)
        if modules is None:
            shutil.copy(vmlinuz, part / "vmlinuz")
        described = {"release": release, "stock": str(vmlinuz.parent) if modules is not None else ""}
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
    return Image(name, described["release"], stock / "vmlinuz", modules, where)
