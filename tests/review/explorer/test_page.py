# SPDX-License-Identifier: GPL-2.0-only
"""The page as a file: what is in it, and that nothing else is needed or allowed."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pfncache.review.explorer import page as pages
from pfncache.review.explorer.page import MAX_BYTES, MODULES, page
from tests.review.explorer.samples import FINDING, HOSTILE, HOSTILE_FINDING, RECORDING, ROWS_ALONE


def data_of(text: str) -> Any:
    """The data of a page, as its script has it."""
    found = re.search(r'<script type="application/gzip" id="data">([A-Za-z0-9+/=]*)</script>', text)
    assert found is not None
    return json.loads(gzip.decompress(base64.b64decode(found[1])))


def test_a_page_lists_its_findings_and_has_their_traces_as_text() -> None:
    text = page([FINDING, ROWS_ALONE], "two of them")
    assert text.startswith("<!doctype html>") and "<title>two of them</title>" in text
    assert "<p>2 findings</p>" in text
    assert '<a href="#finding-1">use-after-free</a>' in text and '<a href="#finding-2">leak</a>' in text
    assert "pfncache verify rfc-v4 -s gmem/punch" in text
    assert "CPU0: vmm" in text and "=&gt; pfn 0 is free" in text


def test_a_page_of_nothing_says_so() -> None:
    assert "<p>No findings</p>" in page([], "nothing")


def test_steps_have_their_call_and_their_changes() -> None:
    recording = data_of(page([FINDING], ""))["findings"][0]["recording"]
    first = recording["steps"][0]
    assert recording["calls"][first["stack"][1]] | {"text": ""} == {
        "function": "invalidate", "file": "virt/kvm/pfncache.py", "line": 41, "text": "",
    }  # fmt: skip
    assert first["changes"] == [{"object": 0, "member": "valid", "old": "true", "new": "false"}]
    assert [step["matters"] for step in recording["steps"]] == [True, False, False, True, True]


def test_rows_of_a_trace_are_steps_without_state() -> None:
    recording = data_of(page([ROWS_ALONE], ""))["findings"][0]["recording"]
    assert recording["objects"] == []
    assert [step["notes"] for step in recording["steps"]] == [["vcpu.pv_time.valid: True -> False"], []]
    assert [recording["calls"][step["stack"][0]]["text"] for step in recording["steps"]] == [
        "gpc.valid = False", "gpc.valid = True",
    ]  # fmt: skip


def test_the_lines_around_each_step_are_in_the_page() -> None:
    lines = data_of(page([FINDING], ""))["sources"]["virt/kvm/pfncache.py"]
    assert set(map(str, range(32, 55))) <= set(lines)


def test_the_policy_allows_this_script_and_style_and_nothing_else() -> None:
    text = page([HOSTILE_FINDING], "t")
    found = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert found is not None
    policy = dict(part.split(" ", 1) for part in found[1].split("; "))
    assert policy["default-src"] == policy["connect-src"] == policy["base-uri"] == "'none'"
    for tag, name in (("style", "style-src"), ('script type="module"', "script-src")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag.split()[0]}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[name] == f"'sha256-{digest}'"


def test_what_a_design_is_called_stays_text() -> None:
    text = page([HOSTILE_FINDING], HOSTILE)
    assert "<img" not in text and text.count("<script") == text.count("</script>") == 2
    assert data_of(text)["findings"][0]["message"] == HOSTILE


def test_a_page_stays_below_two_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What there is no room for is left out, and the page says so; the text stays."""
    assert MAX_BYTES < 2_000_000
    monkeypatch.setattr(pages, "MAX_BYTES", 100_000)
    names = [hashlib.sha256(bytes([n % 256, n // 256])).hexdigest() for n in range(900)]
    many = [replace(RECORDING.objects[0], name=name) for name in names]
    large = [replace(FINDING, recording=replace(RECORDING, objects=(*many[n * 50 :],))) for n in range(4)]
    text = page(large, "large")
    left_out = [finding["recording"] is None for finding in data_of(text)["findings"]]
    assert left_out == [False, True, True, True]
    assert text.count("no room for its explorer") == 3 and text.count("<summary>As text</summary>") == 4
    assert len(text.encode()) < 100_000


def test_the_modules_are_one_script_without_imports() -> None:
    script = pages._script()
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)
    names = re.findall(r"^(?:async )?(?:function|class|const|let) (\w+)", script, re.MULTILINE)
    assert len(names) == len(set(names)) > 20
    assert sorted(p.name for p in (Path(pages.__file__).parent / "assets").iterdir()) == sorted(
        [*(f"{name}.mjs" for name in MODULES), "page.css", "page.html"]
    )


def test_a_module_imports_what_stands_before_it() -> None:
    for number, name in enumerate(MODULES):
        for other in re.findall(r'from "\./(\w+)\.mjs"', pages._asset(f"{name}.mjs")):
            assert other in MODULES[:number]


def test_a_page_needs_neither_numba_nor_a_command() -> None:
    code = (
        "import sys, pfncache.review.explorer.page, pfncache.review.explorer.findings\n"
        "print([m for m in sys.modules if m in ('numba', 'rich') or m.startswith('pfncache.commands')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
