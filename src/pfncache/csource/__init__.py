# SPDX-License-Identifier: GPL-2.0-only
"""Kernel C, translated into the modelling language. It knows no function of KVM; csource.kvm has the tables."""
