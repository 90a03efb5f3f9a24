# SPDX-License-Identifier: GPL-2.0-only
"""Advice on a posted series: which of its patches the model has, and which requirements its base does not meet."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterator, Sequence

from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design, Patch
from pfncache.designs.requirement import Requirement
from pfncache.kernels.debian import version_of
from pfncache.kernels.patch_mail import PatchMail
from pfncache.lang.part_of import CALLER, linux_name
from pfncache.linux.vmlinux import Vmlinux

_MAINLINE = "mainline-"
_REMARK = re.compile(r" \((.*)\)$")
"""The remark in parentheses at the end of a subject in the model: the version of a series, a commit."""


def base_of(release: str) -> Design:
    """Return the mainline design that models a kernel: that of its version, or of the last version before it."""
    mainlines = sorted(
        (design for name, design in DESIGNS.items() if name.startswith(_MAINLINE)),
        key=lambda design: version_of(design.name.removeprefix(_MAINLINE)),
    )
    older = [d for d in mainlines if version_of(d.name.removeprefix(_MAINLINE)) <= version_of(release)]
    return older[-1] if older else mainlines[0]


def recognise(mail: PatchMail) -> type[Patch] | None:
    """Return the model's patch with the subject of a posted one, of the same version if there are several."""
    found = [patch for patch in _patches() if _normal(patch.subject()) == _normal(mail.subject)]
    same = [patch for patch in found if f"v{mail.version} " in f"{patch.subject()} "]
    return next(iter([*same, *found]), None)


def advise(series: Sequence[PatchMail], release: str) -> Iterator[str]:
    """Yield a line for each patch of a series, and one for each requirement that the base does not meet."""
    base = base_of(release)
    known = {mail.number: patch for mail in series if (patch := recognise(mail)) is not None}
    met = base.provides | {requirement for patch in known.values() for requirement in patch.provides}
    patches = "1 patch" if len(series) == 1 else f"{len(series)} patches"
    yield f"{patches} on Linux {release}, modelled by {base.name}:"
    for mail in series:
        patch = known.get(mail.number)
        if patch is None:
            yield f"  {mail.number} {mail.subject}: {_unknown(mail)}"
            continue
        shared = sorted(mail.functions & _functions(patch))
        both = f", both in {', '.join(f'{name}()' for name in shared)}" if shared else ""
        yield f"  {mail.number} {mail.subject}: the model's {patch.__name__}{both}"
        for requirement in patch.requires:
            if requirement in met:
                continue
            wrong = next((d.name for d in DESIGNS.values() if _fails(d, known.values(), requirement)), None)
            see = f"; see `pfncache verify {wrong}`" if wrong is not None else ""
            yield f"    requires {requirement.what}; {base.name} does not provide this{see}"


def _fails(design: Design, patches: Collection[type[Patch]], requirement: Requirement) -> bool:
    """Return whether a design has all these patches, and does not meet the requirement."""
    return set(patches) <= set(design.patches) and requirement not in design.provides


def _unknown(mail: PatchMail) -> str:
    """Describe a patch whose subject the model does not have, by the functions that it changes."""
    modelled = sorted(mail.functions & _functions(Vmlinux))
    others = [p.__name__ for p in _patches() if not p.__name__.startswith("Revert") and _functions(p) & mail.functions]
    if not modelled:
        return "changes no function that is in the model"
    also = f", which the model's {', '.join(others)} replace too" if others else ""
    return f"changes {', '.join(f'{name}()' for name in modelled)}{also}; no patch of the model has this subject"


def _patches() -> list[type[Patch]]:
    return list(dict.fromkeys(patch for design in DESIGNS.values() for patch in design.patches))


def _functions(owner: type) -> set[str]:
    """Return the Linux functions that a patch replaces or adds, or that the whole model has."""
    names = dir(owner) if owner is Vmlinux else vars(owner)
    functions = [inspect.unwrap(getattr(Vmlinux, name, getattr(owner, name))) for name in names]
    return {linux_name(f.__code__) for f in functions if inspect.isfunction(f)} - {CALLER}


def _normal(subject: str) -> str:
    """Normalise a subject: without the model's remark, without a full stop, in lower case."""
    return " ".join(_REMARK.sub("", subject.rstrip(".")).lower().split())
