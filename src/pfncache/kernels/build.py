# SPDX-License-Identifier: GPL-2.0-only
"""Build a kernel with a user's series: apply it to Debian's source, run make, and keep the result under a name."""

from __future__ import annotations

from collections.abc import Sequence

from pfncache import user_cache
from pfncache.kernels import apply as applying
from pfncache.kernels import variant
from pfncache.kernels.flavour import Flavour, Progress
from pfncache.kernels.image import Changes, Image
from pfncache.kernels.make import BuildError
from pfncache.kernels.patch_mail import PatchMail
from pfncache.kernels.source import Source
from pfncache.kernels.tree import Tree

_REBUILT = ("virt/kvm/", "arch/x86/kvm/", "arch/x86/include/", "include/")
_NOT_BUILT = ("tools/", "Documentation/", "samples/")


def beyond_kvm(series: Sequence[PatchMail]) -> list[str]:
    """Return the files of a series that are neither in KVM's modules nor headers: they need a whole kernel."""
    names = dict.fromkeys(name for mail in series for name in mail.files)
    return [name for name in names if not name.startswith((*_REBUILT, *_NOT_BUILT)) and name.endswith((".c", ".S"))]


def build(
    name: str, source: Source, stock: Image, series: Sequence[PatchMail], flavour: Flavour, progress: Progress
) -> Image:
    """Build a variant of a kernel and keep it under a name.

    Nothing is kept if a part fails. Raises SeriesError for a patch that does not apply, BuildError for a file that does
    not compile, with the patch that touches it.
    """
    tree = Tree(source, flavour.name)
    with user_cache.scratch() as scratch:
        touched = applying.apply(series, source.tree, scratch)
        with tree.locked():
            tree.put(touched, scratch)
            try:
                if not tree.ready(flavour.options):
                    flavour.configure(tree, progress)
                modules = flavour.build(tree, progress)
            except BuildError as error:
                raise BuildError(f"{error}{_blame(series, error.path)}") from None
            changes = Changes(source.release, scratch, tuple(touched)) if touched else None
            if flavour.whole:
                release = (tree.path / "include/config/kernel.release").read_text().strip()
                return variant.save(name, release, tree.path / "arch/x86/boot/bzImage", None, modules, changes)
            return variant.save(name, source.release, stock.vmlinuz, stock.modules, modules, changes)


def _blame(series: Sequence[PatchMail], path: str) -> str:
    """Return the patches that touch a file, as a suffix of an error."""
    found = [f"{mail.number} ({mail.subject})" for mail in series if path in mail.files]
    return f"; touched by patch {', '.join(found)}" if found else ""
