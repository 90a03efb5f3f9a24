# SPDX-License-Identifier: GPL-2.0-only
"""The result of an operation, as a part of the state."""

from __future__ import annotations

from typing import Annotated

from pfncache.lang.records import Bound, Record


class CallResult(Record):
    """The number that an operation has returned, for a comparison when every operation has ended."""

    returned: Annotated[int, Bound(-256, 255)]
