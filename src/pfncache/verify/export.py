# SPDX-License-Identifier: GPL-2.0-only
"""A scenario under a design as a model for another model checker: SPIN or TLC."""

from __future__ import annotations

from pathlib import Path

from pfncache.check.compile.compiler import compile_system
from pfncache.check.export.promela.model import to_promela
from pfncache.check.export.tla.module import CONFIGURATION, is_name, to_tla
from pfncache.check.program.layout import link
from pfncache.check.search import Search
from pfncache.designs.design import Design
from pfncache.properties import PROBES
from pfncache.properties.refused_refresh import RefusedRefreshProbe
from pfncache.scenarios.scenario import Scenario, describe
from pfncache.verify.systems import make_system

EXPORTED = tuple(probe for probe in PROBES if probe is not RefusedRefreshProbe)
"""Probes of an exported model. A refresh when all is done is too much for one step of another model checker."""


class ExportError(Exception):
    """The scenario cannot be exported, or the file cannot be written. The message is one line."""


def export_promela(design: Design, scenario: Scenario, output: Path | None) -> str:
    """Write a Promela model to `output`. Returns it if there is no output. Raises CompileError and ExportError."""
    search, title = _search(design, scenario)
    try:
        text = to_promela(search, title)
    except NotImplementedError as error:
        raise ExportError(str(error)) from None
    if output is None:
        return text
    _write(output, text)
    return ""


def export_tla(design: Design, scenario: Scenario, output: Path | None) -> str:
    """Write a TLA+ module of the name of `output`, and its configuration. Raises CompileError and ExportError."""
    if output is None or output.suffix != ".tla" or not is_name(output.stem):
        raise ExportError("--tla needs -o NAME.tla, NAME being letters, digits and underscores: it names the module")
    search, title = _search(design, scenario)
    try:
        text = to_tla(search, output.stem, title)
    except NotImplementedError as error:
        raise ExportError(str(error)) from None
    _write(output, text)
    _write(output.with_suffix(".cfg"), CONFIGURATION)
    return ""


def _search(design: Design, scenario: Scenario) -> tuple[Search, str]:
    """Return the unreduced search of the scenario before it starts, and the title of the model."""
    system = make_system(design, scenario, EXPORTED)
    search = Search(link(compile_system(system), reduction=False))
    if search.start_failure is not None:
        raise ExportError(f"{design.name} fails {search.start_failure.kind} before there is anything to search")
    return search, f"{scenario.name} under {design.name}: {describe(system)}"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror}") from None
