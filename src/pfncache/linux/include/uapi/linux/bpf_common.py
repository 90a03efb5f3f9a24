# SPDX-License-Identifier: GPL-2.0-only
"""include/uapi/linux/bpf_common.h: parts of an opcode that classic and extended BPF share."""

from __future__ import annotations

BPF_LD, BPF_JMP = 0x00, 0x05
BPF_IMM = 0x00
BPF_ADD = 0x00
BPF_K, BPF_X = 0x00, 0x08
