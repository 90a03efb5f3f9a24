# SPDX-License-Identifier: GPL-2.0-only
"""What the model knows about a user's series: a series that applies can still be wrong on another base."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design, Patch
from pfncache.kernels.debian import version_of
from pfncache.kernels.patch_mail import PatchMail
from pfncache.linux.vmlinux import Vmlinux

_MAINLINE = "mainline-"
_POSTED = re.compile(r" \((.*)\)$")


def base_of(release: str) -> Design:
    """The mainline design that models a kernel: that of its version, or else of the last version before it."""
    mainlines = sorted(
        (design for name, design in DESIGNS.items() if name.startswith(_MAINLINE)),
        key=lambda design: version_of(design.name.removeprefix(_MAINLINE)),
    )
    older = [d for d in mainlines if version_of(d.name.removeprefix(_MAINLINE)) <= version_of(release)]
    return older[-1] if older else mainlines[0]


def recognise(mail: PatchMail) -> type[Patch] | None:
    """The model's patch with the subject of a posted one: of several versions, the one of the same version."""
    found = [patch for patch in _patches() if _normal(patch.subject()) == _normal(mail.subject)]
    same = [patch for patch in found if f"v{mail.version} " in f"{patch.subject()} "]
    return next(iter([*same, *found]), None)


def advise(series: Sequence[PatchMail], release: str) -> Iterator[str]:
    """Which of the model's patches a series has, and what they rely on that the base has not. A line each."""
    base = base_of(release)
    known = {mail.number: patch for mail in series if (patch := recognise(mail)) is not None}
    has = base.provides | {reliance for patch in known.values() for reliance in patch.provides}
    patches = "1 patch" if len(series) == 1 else f"{len(series)} patches"
    yield f"{patches} on Linux {release}, whose model is {base.name}:"
    for mail in series:
        patch = known.get(mail.number)
        if patch is None:
            yield f"  {mail.number} {mail.subject}: {_unknown(mail)}"
            continue
        shared = sorted(mail.functions & _functions(patch))
        both = f", both in {', '.join(f'{name}()' for name in shared)}" if shared else ""
        yield f"  {mail.number} {mail.subject}: the model's {patch.__name__}{both}"
        for reliance in patch.relies_on:
            if reliance in has:
                continue
            wrong = next((d.name for d in DESIGNS.values() if _is(d, known.values(), reliance)), None)
            see = f": see `pfncache verify {wrong}`" if wrong is not None else ""
            yield f"    relies on {reliance.what}; {base.name} has not that{see}"


def _is(design: Design, patches: object, lacking: object) -> bool:
    """Whether a design has all these patches, and lacks what they rely on."""
    return set(patches) <= set(design.patches) and lacking not in design.provides  # type: ignore[call-overload]


def _unknown(mail: PatchMail) -> str:
    """What the model has of a patch that it does not know."""
    modelled = sorted(name for name in mail.functions if hasattr(Vmlinux, name))
    others = [p.__name__ for p in _patches() if not p.__name__.startswith("Revert") and _functions(p) & mail.functions]
    if not modelled:
        return "changes nothing that is in the model"
    also = f", which the model's {', '.join(others)} replace too" if others else ""
    return f"changes {', '.join(f'{name}()' for name in modelled)}{also}; no patch of the model has this subject"


def _patches() -> list[type[Patch]]:
    return list(dict.fromkeys(patch for design in DESIGNS.values() for patch in design.patches))


def _functions(patch: type[Patch]) -> set[str]:
    return {name for name, value in vars(patch).items() if callable(value)}


def _normal(subject: str) -> str:
    """A subject without the model's remark in parentheses, the full stop and the difference of letters."""
    return " ".join(_POSTED.sub("", subject.rstrip(".")).lower().split())
