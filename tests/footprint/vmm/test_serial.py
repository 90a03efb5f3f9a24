# SPDX-License-Identifier: GPL-2.0-only
"""The serial port, as probed by Linux's 8250 driver."""

from __future__ import annotations

from pfncache.footprint.vmm.serial import Serial

DATA, IER, FCR, LCR, MCR, LSR, MSR, SCR = range(8)


def test_lines() -> None:
    serial = Serial()
    for value in b"one\r\ntwo\r\n\xff":
        assert serial.read(LSR) & 0x20
        serial.write(DATA, value)
    assert serial.lines == ["one", "two", "\ufffd"]


def test_the_divisor_is_not_sent() -> None:
    serial = Serial()
    serial.write(LCR, 0x83)
    serial.write(DATA, 1)
    serial.write(IER, 0)
    assert (serial.read(DATA), serial.read(IER)) == (1, 0)
    serial.write(LCR, 0x03)
    assert serial.read(IER) == 0
    assert serial.sent == b""


def test_only_the_interrupts_that_a_16550_has() -> None:
    serial = Serial()
    serial.write(IER, 0xFF)
    assert serial.read(IER) == 0x0F


def test_loopback() -> None:
    serial = Serial()
    assert serial.read(MSR) == 0xB0
    serial.write(MCR, 0x1A)  # loopback, OUT2, RTS: what Linux expects to read back is 0x90
    assert serial.read(MSR) & 0xF0 == 0x90
    serial.write(DATA, ord("x"))
    assert serial.sent == b""


def test_a_16550a_has_fifos() -> None:
    serial = Serial()
    assert serial.read(FCR) == 0x01
    serial.write(FCR, 1)
    assert serial.read(FCR) == 0xC1


def test_scratch() -> None:
    serial = Serial()
    serial.write(SCR, 0x5A)
    assert serial.read(SCR) == 0x5A
    serial.write(LSR, 0)
    assert serial.read(LSR) == 0x60
