# SPDX-License-Identifier: GPL-2.0-only
"""The checker: compile model source, search every interleaving, replay what it finds. It knows nothing about KVM."""
