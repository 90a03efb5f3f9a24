# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the review: a call of the command without the kernel, and the document as its schema has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

from tests.conftest import Call, Run
from tools.console import ROOT

REFERENCE = ROOT / "docs" / "reference"
Review = Callable[..., Run]


def checked(run: Run) -> Any:
    """Return standard output as a document of the schema."""
    schemas = {
        name: json.loads((REFERENCE / name).read_text()) for name in ("review.schema.json", "verify.schema.json")
    }
    registry: Registry[Any] = Registry().with_resources((n, Resource.from_contents(s)) for n, s in schemas.items())
    validator = Draft202012Validator(schemas["review.schema.json"], registry=registry, format_checker=FormatChecker())
    validator.validate(run.document)
    assert run.document["status"] == run.code
    return run.document


@pytest.fixture
def review(pfncache: Call) -> Review:
    """Review a series in one process, without the kernel."""

    def call(series: Path | str, *more: str) -> Run:
        return pfncache("review", str(series), "--no-kernel", "--jobs", "1", *more)

    return call
