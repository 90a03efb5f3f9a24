# SPDX-License-Identifier: GPL-2.0-only
"""Kinds of builds: Debian's kernel with rebuilt KVM modules, or a whole debug kernel."""

from __future__ import annotations

import importlib.resources
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pfncache.kernels.make import KVM, BuildError, make
from pfncache.kernels.tree import Tree

_NO_KEYS = """
CONFIG_RUST=n
CONFIG_MODULE_SIG_ALL=n
CONFIG_MODULE_SIG_KEY=""
CONFIG_SYSTEM_TRUSTED_KEYS=""
CONFIG_SYSTEM_REVOCATION_KEYS=""
"""
"""Turns off what requires Debian's build: its keys, and a Rust compiler."""
_SETTINGS = (
    "KBUILD_BUILD_USER=pfncache", "KBUILD_BUILD_HOST=pfncache", "KBUILD_BUILD_VERSION=1",
    "KBUILD_BUILD_TIMESTAMP=2026-01-01",
)  # fmt: skip
"""Make builds reproducible: equal sources give an equal vmlinuz, so that variants share its saved state."""
_CONFIGURE_SECONDS = 300.0
_PREPARE_SECONDS = 900.0
_KVM_SECONDS = 1200.0
_ALL_SECONDS = 3600.0

Progress = Callable[[str], None]
"""Shows what long work is at, as a line."""


@dataclass(frozen=True)
class Flavour:
    """A kind of build."""

    name: str
    seconds: float
    """Time bound of a build."""
    required: tuple[str, ...]
    """Options without which the configuration is an error."""
    modules: tuple[str, ...]
    """Modules that are built, besides the bzImage of a whole kernel."""
    whole: bool

    @property
    def options(self) -> str:
        """Options in addition to tinyconfig, or to Debian's configuration."""
        if self.whole:
            return importlib.resources.files(__package__).joinpath("debug.config").read_text()
        return _NO_KEYS + "\n".join(self.required)

    def configure(self, tree: Tree, progress: Progress) -> None:
        """Write the configuration, and build the build's own programs."""

        def run(*arguments: str, seconds: float = _CONFIGURE_SECONDS) -> None:
            make(tree.path, *self._settings(tree), *arguments, log=tree.log, seconds=seconds, progress=progress)

        config = tree.path / ".config"
        if self.whole:
            config.unlink(missing_ok=True)
            run("tinyconfig")
        base = config if self.whole else tree.source.config
        config.write_text(f"{base.read_text()}\n{self.options}\n")
        run("olddefconfig")
        lines = config.read_text().splitlines()
        if lacking := [line for line in self.required if line not in lines]:
            raise BuildError(f"Linux {tree.source.release} cannot be configured with {', '.join(lacking)}")
        if not self.whole:
            (tree.path / "Module.symvers").unlink(missing_ok=True)
            (tree.path / "Module.symvers").write_bytes(tree.source.symbols.read_bytes())
            run("modules_prepare", seconds=_PREPARE_SECONDS)
        tree.set_ready(self.options)

    def build(self, tree: Tree, progress: Progress) -> list[Path]:
        """Build what is out of date. Returns the modules."""
        targets = ["bzImage", "modules"] if self.whole else ["KCFLAGS=-g0", f"M={KVM}", "modules"]
        make(tree.path, *self._settings(tree), *targets, log=tree.log, seconds=self.seconds, progress=progress)
        return [tree.path / name for name in self.modules]

    def _settings(self, tree: Tree) -> list[str]:
        return [*_SETTINGS] if self.whole else [*_SETTINGS, f"KERNELRELEASE={tree.source.release}"]


_KVM_MODULES = (f"{KVM}/kvm.ko", f"{KVM}/kvm-amd.ko", f"{KVM}/kvm-intel.ko")
STOCK = Flavour("kvm", _KVM_SECONDS, ("CONFIG_KVM_SW_PROTECTED_VM=y",), _KVM_MODULES, whole=False)
"""Debian's kernel with rebuilt KVM modules."""
DEBUG = Flavour(
    "debug", _ALL_SECONDS,
    ("CONFIG_KVM=m", "CONFIG_KVM_SW_PROTECTED_VM=y", "CONFIG_KASAN=y", "CONFIG_PROVE_LOCKING=y"),
    (*_KVM_MODULES, "virt/lib/irqbypass.ko"), whole=True,
)  # fmt: skip
"""A small kernel with KASAN, lockdep and KVM_PROVE_MMU (if the source has it)."""
