# SPDX-License-Identifier: GPL-2.0-only
"""The dimension of the start: what KVM has of the structure's page when the actors start."""

from __future__ import annotations

from pfncache.scenarios.space.dimension import Dimension, values_of

START = Dimension(
    "start",
    "what KVM has of the page when the actors start",
    values_of(
        (
            ("valid", "KVM has used the structure: its cache is valid"),
            ("page-gone", "KVM has used it, and then the page was taken away: the first use looks the page up"),
            ("never-used", "the guest has no structure: an actor names its place first"),
            ("turned-off", "the guest had it there and turned it off: an actor names the place again"),
            (
                "elsewhere",
                "KVM has used one in the other memslot, or in another page of the only one; an actor moves it here",
            ),
        )
    ),
)
