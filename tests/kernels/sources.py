# SPDX-License-Identifier: GPL-2.0-only
"""A kernel's source of a few lines, with a makefile that has the kernel's targets."""

from __future__ import annotations

from pfncache import user_cache as cache
from pfncache.kernels.image import Image
from pfncache.kernels.source import Source
from tests.kernels.posted import BEFORE, SOURCE
from tests.kernels.trees import bzimage, module

RELEASE = "7.3.4+deb13-amd64"
MAKEFILE = """
KVM := arch/x86/kvm
tinyconfig:
	echo CONFIG_TINY=y > .config
olddefconfig:
	grep -v '=n$$' .config > .config.new; mv .config.new .config
modules_prepare:
	echo prepared >> prepared
bzImage:
	mkdir -p arch/x86/boot include/config
	cp .config arch/x86/boot/bzImage; echo 7.3.4-debug > include/config/kernel.release
modules: $(KVM)/kvm.ko virt/lib/irqbypass.ko
	cp $(KVM)/kvm.ko $(KVM)/kvm-amd.ko; cp $(KVM)/kvm.ko $(KVM)/kvm-intel.ko
%/kvm.ko: virt/kvm/cache.c
	echo built >> built; mkdir -p $*; gcc -c -o $@ $<
%/irqbypass.ko: Makefile
	mkdir -p $*; echo 'int bypass;' | gcc -c -xc -o $@ -
"""


def source() -> Source:
    """It, in the cache, as if it had been fetched."""
    found = Source(RELEASE, cache.folder("sources") / RELEASE)
    (found.tree / "virt/kvm").mkdir(parents=True)
    (found.tree / SOURCE).write_text(BEFORE)
    (found.tree / "virt/kvm/Kconfig").write_text("config KVM\n")
    (found.tree / "Makefile").write_text(MAKEFILE)
    found.config.write_text("CONFIG_KVM=m\nCONFIG_RUST=y\n")
    found.symbols.write_text("0x0\tmalloc\tvmlinux\n")
    return found


def stock() -> Image:
    """The kernel, as if it had been fetched."""
    where = cache.folder("kernels") / RELEASE
    module(where / "modules", "kvm")
    bzimage(where / "vmlinuz", RELEASE)
    return Image("7.3.4", RELEASE, where / "vmlinuz", where / "modules")
