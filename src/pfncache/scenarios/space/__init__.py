# SPDX-License-Identifier: GPL-2.0-only
"""The space of scenarios: dimensions with their values, the constraints between them, and arrays that cover them."""
