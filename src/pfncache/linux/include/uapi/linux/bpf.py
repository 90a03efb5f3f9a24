# SPDX-License-Identifier: GPL-2.0-only
"""include/uapi/linux/bpf.h: bpf(), and parts of an opcode of extended BPF."""

from __future__ import annotations

BPF_JMP32, BPF_ALU64 = 0x06, 0x07
BPF_DW = 0x18
BPF_MOV = 0xB0
BPF_JNE, BPF_JLT, BPF_CALL, BPF_EXIT = 0x50, 0xA0, 0x80, 0x90
BPF_PSEUDO_MAP_FD = 1
BPF_REG_10 = 10
"""The frame pointer."""
BPF_MAP_CREATE, BPF_MAP_UPDATE_ELEM, BPF_PROG_LOAD = 0, 2, 5
BPF_PROG_TYPE_KPROBE = 2
BPF_MAP_TYPE_PROG_ARRAY = 3
BPF_FUNC_tail_call, BPF_FUNC_get_current_pid_tgid, BPF_FUNC_get_stack = 12, 14, 67
