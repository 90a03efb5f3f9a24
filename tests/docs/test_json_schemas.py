# SPDX-License-Identifier: GPL-2.0-only
"""Documents of selftest, matrix and footprint are as the schemas in docs/reference say, however a run ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import click
import pytest
from jsonschema import Draft202012Validator, ValidationError

from pfncache import __version__
from pfncache.commands.exit_status import ExitStatus
from pfncache.machines.host import devkvm
from pfncache.matrix.cell import CellVerdict
from pfncache.matrix.table import Mark
from pfncache.selftests import session
from pfncache.selftests.runner import SelftestVerdict
from tests.conftest import PFNCACHE, Call
from tools.console import ROOT

REFERENCE = ROOT / "docs" / "reference"
VERBS = ("selftest", "matrix", "footprint")


def validator(verb: str) -> Draft202012Validator:
    schema = json.loads((REFERENCE / f"{verb}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def enums(value: Any) -> Iterator[list[str]]:
    if isinstance(value, dict):
        yield from [value["enum"]] if "enum" in value else []
        for member in value.values():
            yield from enums(member)


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (("selftest", "--machine", "model", "memslots", "series"), 1),
        (("selftest", "--machine", "model", "--design", "rfc-v4", "--strict", "clock/in-anon"), 1),
        (("matrix",), 1),
        (("footprint", "--machine", "model", "--runs", "2"), 1),
    ],
)
def test_document_is_valid(pfncache: Call, words: tuple[str, ...], count: int) -> None:
    document = pfncache(*words, "--json").document
    validator(words[0]).validate(document)
    assert (document["version"], document["ended"], document["error"]) == (__version__, "complete", None)
    (parts,) = [member for member in document.values() if isinstance(member, list)]
    assert len(parts) >= count


@pytest.mark.parametrize("verb", VERBS)
def test_schema_allows_nothing_else(pfncache: Call, verb: str) -> None:
    words = {"selftest": ("memslots",)}.get(verb, ())
    document = pfncache(verb, "--machine", "model", *words, "--json").document
    validator(verb).validate(document)
    for wrong in (
        {**document, "more": 1},
        {k: v for k, v in document.items() if k != "host"},
        {**document, "schema": 0},
    ):
        with pytest.raises(ValidationError):
            validator(verb).validate(wrong)


def test_enums_are_those_of_the_code() -> None:
    found = {tuple(values) for verb in VERBS for values in enums(validator(verb).schema)}
    assert {
        ("complete", "interrupted", "failed"),
        tuple(verdict.value for verdict in SelftestVerdict),
        tuple(verdict.value for verdict in CellVerdict),
        tuple(mark.value for mark in Mark),
    } == found


def test_run_that_fails_is_one_document(pfncache: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the second of two kernels does not boot: the results of the first are there."""
    columns = session.columns

    def then_fails(*args: Any) -> Iterator[session.Pending]:
        yield from columns(*args)
        raise click.ClickException("the guest does not boot; the console's last lines:\nnone")

    monkeypatch.setattr(session, "columns", then_fails)
    document = pfncache("selftest", "--machine", "model", "memslots", "--json").document
    validator("selftest").validate(document)
    assert (document["ended"], document["error"]) == (
        "failed",
        "the guest does not boot; the console's last lines:",
    )
    assert len(document["kernels"][0]["results"]) == 4


@pytest.mark.parametrize("verb", ["matrix", "footprint"])
def test_without_kvm_is_one_document(pfncache: Call, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    monkeypatch.setattr(devkvm, "DEVICE", "/nonexistent")
    run = pfncache(verb, "--machine", "kvm", "--json")
    validator(verb).validate(run.document)
    assert run.document["ended"] == "failed"
    assert run.code == (ExitStatus.SKIPPED if verb == "matrix" else ExitStatus.INCOMPLETE)


@pytest.mark.slow
def test_interrupted_run_is_one_document() -> None:
    command = [*PFNCACHE, "selftest", "--machine", "model", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=4)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=30)
    document = json.loads(out)
    validator("selftest").validate(document)
    assert (process.returncode, document["ended"], "Traceback" in errors) == (130, "interrupted", False)


@pytest.mark.parametrize("verb", VERBS)
def test_page_names_the_schema(verb: str) -> None:
    page = (REFERENCE / "json.md").read_text()
    schema = validator(verb).schema
    assert isinstance(schema, dict)
    number = schema["properties"]["schema"]["const"]
    assert re.search(rf"^\| `{verb}` \| {number} \| \[{verb}\.schema\.json\]\({verb}\.schema\.json\) \|", page, re.M)
