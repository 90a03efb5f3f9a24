# SPDX-License-Identifier: GPL-2.0-only
"""Designs: a base kernel plus patches, each of which replaces functions of the model."""
