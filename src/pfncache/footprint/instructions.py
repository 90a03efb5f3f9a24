# SPDX-License-Identifier: GPL-2.0-only
"""Names of the instructions that KVM emulates or skips while a guest boots."""

from __future__ import annotations

_OPCODE_BYTES = 3
"""Of an instruction: escape, opcode, ModRM."""
_PREFIXES = frozenset((0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3))
_REX = range(0x40, 0x50)
_TWO_BYTES = {
    0x06: "clts", 0x08: "invd", 0x09: "wbinvd", 0x20: "mov from cr", 0x21: "mov from dr", 0x22: "mov to cr",
    0x23: "mov to dr", 0x30: "wrmsr", 0x31: "rdtsc", 0x32: "rdmsr", 0x33: "rdpmc", 0xA2: "cpuid",
}  # fmt: skip
_SYSTEM = {0xC1: "vmcall", 0xC8: "monitor", 0xC9: "mwait", 0xD1: "xsetbv", 0xD9: "vmmcall", 0xF8: "swapgs"}
"""Opcode 0f 01 with a byte that is no operand."""
_TABLES = {0: "sgdt", 1: "sidt", 2: "lgdt", 3: "lidt", 4: "smsw", 6: "lmsw", 7: "invlpg"}
"""Opcode 0f 01 with an operand, by the opcode's extension."""
_ONE_BYTE = {
    **dict.fromkeys((0xE4, 0xE5, 0xEC, 0xED), "in"), **dict.fromkeys((0xE6, 0xE7, 0xEE, 0xEF), "out"),
    **dict.fromkeys((0x6C, 0x6D), "ins"), **dict.fromkeys((0x6E, 0x6F), "outs"), 0xF4: "hlt",
    **dict.fromkeys((0x88, 0x89, 0x8A, 0x8B, 0xA0, 0xA1, 0xA2, 0xA3, 0xC6, 0xC7), "mov"),
}  # fmt: skip


def name(code: bytes, long_mode: bool = True) -> str:
    """Return the name of an instruction; its first bytes in hexadecimal if it is not known."""
    start = 0
    while start < len(code) and (code[start] in _PREFIXES or (long_mode and code[start] in _REX)):
        start += 1
    op = code[start : start + _OPCODE_BYTES]
    if op[:1] != b"\x0f":
        return _ONE_BYTE.get(op[0], code[:4].hex(" ")) if op else "nothing"
    if len(op) == 1:
        return code.hex(" ")
    if op[1] == 1 and len(op) == _OPCODE_BYTES:
        return _SYSTEM.get(op[2]) or _TABLES.get(op[2] >> 3 & 7, code[:4].hex(" "))
    return _TWO_BYTES.get(op[1], code[:4].hex(" "))
