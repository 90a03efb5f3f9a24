# SPDX-License-Identifier: GPL-2.0-only
"""What a mutant changes, by kind: generators that yield every change of a kind in a function."""
