# SPDX-License-Identifier: GPL-2.0-only
"""The checker: compile model source, search every interleaving, replay what is found.

It depends on the modelling language alone, and on no kernel.
"""
