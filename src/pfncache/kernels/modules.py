# SPDX-License-Identifier: GPL-2.0-only
"""Kernel modules as files, and their dependencies, from .modinfo."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pfncache.kernels.image import Image

_DEPENDS = b"\0depends="


def _zstd(data: bytes) -> bytes:
    raise ModuleError("compressed with zstd, which is not supported: unpack it first")


_DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".ko": bytes,
    ".ko.xz": lzma.decompress,
    ".ko.gz": gzip.decompress,
    ".ko.zst": _zstd,
}


class ModuleError(Exception):
    """A module that cannot be read."""


@dataclass(frozen=True)
class KernelModule:
    """A module for init_module()."""

    name: str
    """Name with underscores."""
    data: bytes

    @property
    def depends(self) -> list[str]:
        """Modules whose symbols it uses, from its .modinfo."""
        start = self.data.find(_DEPENDS)
        if start < 0:
            return []
        start += len(_DEPENDS)
        text = self.data[start : self.data.index(b"\0", start)].decode()
        return [name.replace("-", "_") for name in text.split(",") if name]


def load(image: Image, wanted: Iterable[str]) -> list[KernelModule]:
    """Return the modules to load for those wanted, dependencies first.

    A name that is not a module of the image is skipped: it is built in, or missing, which shows when it is used.
    """
    return list(_needed(_paths(image.modules) | _paths(image.replaced), wanted).values())


def closure(folder: Path, wanted: Iterable[str]) -> list[Path]:
    """Return the files of modules in a folder, and of their dependencies."""
    paths = _paths(folder)
    return [paths[name] for name in _needed(paths, wanted)]


def _paths(folder: Path | None) -> dict[str, Path]:
    if folder is None:
        return {}
    return {path.name.split(".", 1)[0].replace("-", "_"): path for path in folder.rglob("*.ko*")}


def _needed(paths: dict[str, Path], wanted: Iterable[str]) -> dict[str, KernelModule]:
    done: dict[str, KernelModule] = {}

    def visit(name: str) -> None:
        if name in done or name not in paths:
            return
        module = _read(name, paths[name])
        for other in module.depends:
            visit(other)
        done[name] = module

    for name in wanted:
        visit(name.replace("-", "_"))
    return done


def _read(name: str, path: Path) -> KernelModule:
    suffix = "." + path.name.split(".", 1)[1]
    if suffix not in _DECOMPRESS:
        raise ModuleError(f"{path}: no module, whose suffix is one of {', '.join(_DECOMPRESS)}")
    try:
        return KernelModule(name, _DECOMPRESS[suffix](path.read_bytes()))
    except (ModuleError, OSError, lzma.LZMAError) as error:
        raise ModuleError(f"{path}: {error}") from None
