# SPDX-License-Identifier: GPL-2.0-only
"""A serial port for a console: a 16550A that is always ready to send, and never receives."""

from __future__ import annotations

COM1 = 0x3F8
_DATA, _IER, _IIR, _LCR, _MCR, _LSR, _MSR, _SCR = range(8)
_DLAB, _LOOPBACK = 0x80, 0x10
_EMPTY = 0x60
"""Line status: transmitter empty."""
_NO_INTERRUPT, _FIFOS = 0x01, 0xC0
_CONNECTED = 0xB0
"""Modem status: carrier, data set ready, clear to send."""


class Serial:
    """Registers of the port, and the data that was sent."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self._registers = bytearray(8)
        self._divisor = bytearray(2)
        self._fifo = False

    @property
    def lines(self) -> list[str]:
        """Sent data as lines of text."""
        return self.sent.decode(errors="replace").replace("\r", "").splitlines()

    def write(self, offset: int, value: int) -> None:
        """Handle a write of the guest to a register."""
        if self._registers[_LCR] & _DLAB and offset in (_DATA, _IER):
            self._divisor[offset] = value
        elif offset == _DATA:
            if not self._registers[_MCR] & _LOOPBACK:
                self.sent.append(value)
        elif offset == _IIR:  # written: the FIFO control register
            self._fifo = bool(value & 1)
        elif offset == _IER:
            self._registers[_IER] = value & 0x0F
        elif offset not in (_LSR, _MSR):
            self._registers[offset] = value

    def read(self, offset: int) -> int:
        """Handle a read of the guest from a register."""
        if self._registers[_LCR] & _DLAB and offset in (_DATA, _IER):
            return self._divisor[offset]
        if offset == _DATA:
            return 0
        if offset == _IIR:
            return _NO_INTERRUPT | (_FIFOS if self._fifo else 0)
        if offset == _LSR:
            return _EMPTY
        if offset == _MSR:
            return self._modem_status()
        return self._registers[offset]

    def _modem_status(self) -> int:
        """Modem status; in loopback mode, the outputs of the modem control register are its inputs."""
        mcr = self._registers[_MCR]
        if not mcr & _LOOPBACK:
            return _CONNECTED
        return (mcr & 2) << 3 | (mcr & 1) << 5 | (mcr & 4) << 4 | (mcr & 8) << 4
