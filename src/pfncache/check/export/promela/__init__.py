# SPDX-License-Identifier: GPL-2.0-only
"""Export to Promela, the language of SPIN."""
