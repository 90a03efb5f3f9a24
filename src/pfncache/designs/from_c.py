# SPDX-License-Identifier: GPL-2.0-only
"""Patches whose functions are a kernel's own C."""

from __future__ import annotations

from pfncache.csource.kvm.translation import Translation
from pfncache.designs.design import Patch

_translations: dict[type[Patch], Translation] = {}


def patch_of(translation: Translation) -> type[Patch]:
    """Return a patch that replaces functions of the model by those of the C.

    What the C does not have, or what is refused, stays that of the model; ``translation.refused`` says so.
    """
    files = sorted({function.file for function in translation.translated.values()})
    subject = f"{', '.join(files)} of Linux {translation.version}, translated"
    space = {"source_key": translation.key, "__doc__": subject, "__module__": __name__}
    patch = type("FromC", (Patch,), {**translation.functions, **space})
    _translations[patch] = translation
    return patch


def translation_of(patch: type[Patch]) -> Translation | None:
    """Return the translation that a patch was made of; None for a patch that is written in Python."""
    return _translations.get(patch)
