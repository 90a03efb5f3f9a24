# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/include/asm/svm.h, arch/x86/include/uapi/asm/svm.h: struct vmcb, by offsets in bytes, and exit codes."""

from __future__ import annotations

VMCB_EXIT_CODE, VMCB_EXIT_CODE_SIZE = 0x70, 8
SVM_EXIT_HLT, SVM_EXIT_NPF = 0x78, 0x400
