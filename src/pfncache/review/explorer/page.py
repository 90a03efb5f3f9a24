# SPDX-License-Identifier: GPL-2.0-only
"""The explorer as one HTML file: style, script and data are in it, and it loads nothing."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from pfncache.review.explorer.excerpts import Sources, add_excerpt, style
from pfncache.review.explorer.finding import ExplorerFinding
from pfncache.review.explorer.recording import RecordedCall, RecordedChange, Recording
from pfncache.verify.trace import KERNEL, PACKAGE, Trace

MAX_BYTES = 1_900_000
"""Of a page. An explorer that would make it larger is left out; the text of its trace stays."""
MODULES = ("dom", "state", "memory", "source", "columns", "objects", "explorer", "live", "main")
"""The script, each module after those that it imports."""
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./\w+\.mjs";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)


def page(findings: Sequence[ExplorerFinding], title: str, live: Mapping[str, Any] | None = None) -> str:
    """Return the page of some findings. `live` is what a page that is served needs to ask for more."""
    style_sheet, script = Template(_asset("page.css")).substitute(tokens=style()), _script()
    left, sources = MAX_BYTES - len(style_sheet) - len(script), Sources()
    shown: list[dict[str, Any]] = []
    for finding in findings:
        left -= len(str(finding.trace)) + len(finding.message)
    for finding in findings:
        mine = Sources()
        data = finding_as_json(finding, mine)
        new = {file: {n: t for n, t in lines.items() if n not in sources.get(file, {})} for file, lines in mine.items()}
        size = len(_packed([data, new]))
        if size > left:
            data["recording"] = None
        else:
            left -= size
            for file, lines in new.items():
                sources.setdefault(file, {}).update(lines)
        shown.append(data)
    return Template(_asset("page.html")).substitute(
        policy=_policy(style_sheet, script, is_live=live is not None),
        title=escape(title),
        style=style_sheet,
        listing=_listing(findings) if live is None else "",
        articles="\n".join(
            _article(n, f, s["recording"] is None) for n, (f, s) in enumerate(zip(findings, shown, strict=True), 1)
        ),
        data=_packed({"findings": shown, "sources": sources, "live": live}),
        script=script,
    )


def finding_as_json(finding: ExplorerFinding, sources: Sources) -> dict[str, Any]:
    """Return what the page's script needs of a finding; the source of its steps is added to `sources`."""
    recording = None
    if finding.recording is not None:
        recording = _recording(finding.recording, sources)
    elif finding.trace is not None:
        recording = _rows(finding.trace, sources)
    return {"title": _title(finding), "message": finding.message, "recording": recording}


class _Calls:
    """The calls of the steps of a recording, each once."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.numbers: dict[RecordedCall, int] = {}
        self.listed: list[dict[str, Any]] = []

    def number(self, call: RecordedCall, text: str = "") -> int:
        """Return the number of a call; `text` is its line where the file does not have it."""
        if call not in self.numbers:
            self.numbers[call] = len(self.listed)
            add_excerpt(self.sources, call.file, call.path, call.line)
            tokens = self.sources[call.file].get(str(call.line), [])
            known = "".join(tokens[1::2]).strip()
            listed = {"function": call.function, "file": call.file, "line": call.line, "text": text or known}
            self.listed.append(listed)
        return self.numbers[call]


def _recording(recording: Recording, sources: Sources) -> dict[str, Any]:
    calls = _Calls(sources)
    return {
        "actors": recording.actors,
        "objects": [
            {"name": one.name, "struct": one.struct, "group": one.group, "values": dict(one.values)}
            for one in recording.objects
        ],
        "steps": [
            {
                "cpu": step.cpu,
                "stack": [calls.number(call) for call in step.stack],
                "shown": step.shown,
                "changes": [_change(change) for change in step.changes],
                "reads": [_change(change) for change in step.reads],
                "taken": step.taken,
                "matters": step.matters,
            }
            for step in recording.steps
        ],
        "calls": calls.listed,
        "loop": recording.loop,
        "page_shift": recording.page_shift,
    }


def _change(change: RecordedChange) -> dict[str, Any]:
    return {"object": change.object, "member": change.member, "old": change.old, "new": change.new}


def _rows(trace: Trace, sources: Sources) -> dict[str, Any]:
    """Return the rows of a trace as a recording without state."""
    calls = _Calls(sources)
    steps = []
    for row in trace.rows:
        file, _, line = row.source.rpartition(":")
        path = next((p for p in (KERNEL / file, PACKAGE / file) if p.is_file()), Path(file))
        call = RecordedCall(function=row.function, file=file, line=int(line), path=str(path))
        steps.append(
            {
                "cpu": row.cpu,
                "stack": [calls.number(call, row.text)],
                "shown": 0,
                "changes": [],
                "reads": [],
                "notes": row.changes,
                "taken": 0,
                "matters": True,
            }
        )
    return {
        "actors": trace.actors, "objects": [], "steps": steps, "calls": calls.listed, "loop": trace.loop,
        "page_shift": 0,
    }  # fmt: skip


def _title(finding: ExplorerFinding) -> str:
    return f"{finding.property} in {finding.scenario} under {finding.design}"


def _listing(findings: Sequence[ExplorerFinding]) -> str:
    """Return the list of findings: how many there are, and a table."""
    count = f"<p>{len(findings) or 'No'} finding{'s' * (len(findings) != 1)}</p>"
    rows = "".join(
        f'<tr><td><a href="#finding-{number}">{escape(f.property)}</a></td><td>{escape(f.scenario)}</td>'
        f"<td>{escape(f.design)}</td><td>{escape(f.verdict)}</td><td>{escape(f.message)}</td></tr>\n"
        for number, f in enumerate(findings, 1)
    )
    heads = "".join(f'<th scope="col">{h}</th>' for h in ("property", "scenario", "design", "verdict", "what happens"))
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>\n{rows}</tbody></table>"
    return f'{count}<nav aria-label="Findings">{table}</nav>' if findings else count


def _article(number: int, finding: ExplorerFinding, is_left_out: bool) -> str:
    """Return a finding in words, with its trace as text."""
    title = f"title-{number}"
    parts = [
        f'<article id="finding-{number}" aria-labelledby="{title}"><h2 id="{title}">{escape(_title(finding))}</h2>',
        f'<p class="reason-line">{escape(finding.message)}</p>',
    ]
    if finding.command:
        parts.append(f"<p>Show it again: <code>{escape(finding.command)}</code></p>")
    if is_left_out and finding.trace is not None:
        parts.append("<p>This page has no room for its explorer; the command shows it.</p>")
    parts.append('<div class="mount"></div>')
    if finding.trace is not None:
        parts.append(f"<details><summary>As text</summary><pre>{escape(str(finding.trace))}</pre></details>")
    return "\n".join([*parts, "</article>"])


def _asset(name: str) -> str:
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def _script() -> str:
    """Return the modules as one: names at the top of a module are the page's, so that no import is needed."""
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", _asset(f"{name}.mjs"))) for name in MODULES)


def _packed(value: object) -> str:
    """Return JSON as the page has it: compressed, in characters that no element ends with."""
    text = json.dumps(value, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _policy(style_sheet: str, script: str, is_live: bool) -> str:
    """Return the page's Content-Security-Policy: nothing but its own style and script, and no network."""
    connect = "'self'" if is_live else "'none'"
    return (
        f"default-src 'none'; style-src {_hash(style_sheet)}; script-src {_hash(script)}; connect-src {connect}; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
