# SPDX-License-Identifier: GPL-2.0-only
"""KVM's gfn_to_pfn_cache with guest_memfd support, as a model that runs and that is checked."""
