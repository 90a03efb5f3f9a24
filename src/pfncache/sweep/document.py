# SPDX-License-Identifier: GPL-2.0-only
"""The JSON document of a report on a sweep: docs/reference/report.schema.json describes it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pfncache.sweep.store import Store
from pfncache.sweep.summary import faults, growth, limits, older_rows, samples, verdicts, versions

SCHEMA = 1
"""Version of the JSON document."""


def document(store: Store, version: str) -> dict[str, Any]:
    """Return what a sweep has found as one JSON document; `version` is that of pfncache."""
    return {
        "schema": SCHEMA,
        "version": version,
        "samples": [asdict(sample) for sample in samples(store)],
        "verdicts": [asdict(row) for row in verdicts(store)],
        "faults": [
            {"design": fault.design, "property": fault.property, **asdict(fault.located)} for fault in faults(store)
        ],
        "growth": {
            bound: [{"value": value, "states": ratio} for value, ratio in points]
            for bound, points in growth(store).items()
        },
        "sources": [{"version": name, "rows": rows} for name, rows in versions(store)],
        "limits": [
            {"seconds": seconds, "megabytes": megabytes, "rows": rows} for seconds, megabytes, rows in limits(store)
        ],
        "older_rows": older_rows(store),
    }
