# SPDX-License-Identifier: GPL-2.0-only
"""The guest's initramfs: this host's Python, this package, and the modules of the agent's virtio port."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from pfncache.kernels import modules
from pfncache.kernels.image import Image
from pfncache.machines.vm.cpio import Archive

PACKAGE = Path(__file__).parents[2]
"""Our package."""
MODULES = "/modules"
"""Folder of the modules that the agent loads first, named so that they sort in load order."""
_REACHABLE = ("virtio_pci", "virtio_console")
_PACKAGE = "/package"
_WITHOUT = {
    "__phello__", "_ctypes_test", "_curses", "_curses_panel", "_dbm", "_elementtree", "_gdbm", "_hashlib", "_sqlite3",
    "_ssl", "_testbuffer", "_testcapi", "_testclinic", "_testinternalcapi", "_tkinter", "asyncio", "config", "curses",
    "dbm", "dist", "distutils", "email", "ensurepip", "html", "http", "idlelib", "lib2to3", "nis", "pydoc_data",
    "pyexpat", "readline", "site", "sqlite3", "test", "tests", "tkinter", "turtledemo", "unittest", "venv", "wsgiref",
    "xml", "xmlrpc",
}  # fmt: skip
"""Modules of the standard library that are left out as large and unused; names up to a hyphen or a dot."""
_OPTIMISED = (".opt-1.pyc", ".opt-2.pyc")
_LDD_SECONDS = 30.0
_HEAD = re.compile(r"[-.]")
_LIBRARY = re.compile(r"(/\S+) \(0x")


def build(image: Image) -> bytes:
    """Build an initramfs for an image, with the agent as its /init."""
    archive = Archive()
    for folder in ("dev", "proc", "sys", "tmp", "run", MODULES):
        archive.folder(folder)
    interpreter = Path(sys.executable).resolve()
    archive.file("init", _init(interpreter).encode(), 0o755)
    for number, module in enumerate(modules.load(image, _REACHABLE)):
        archive.file(f"{MODULES}/{number:02}-{module.name}.ko", module.data)
    _python(archive, interpreter)
    _copy_tree(archive, PACKAGE, f"{_PACKAGE}/pfncache")
    return archive.pack()


def _init(interpreter: Path) -> str:
    return (
        f"#!{interpreter} -ISXutf8\n"
        f"import sys\nsys.path.insert(0, {_PACKAGE!r})\n"
        "from pfncache.machines.vm.agent import main\nmain()\n"
    )


def _python(archive: Archive, interpreter: Path) -> None:
    """Add the interpreter, its library and the shared libraries, under the names that they have on this host."""
    archive.copy(interpreter)
    library = Path(sysconfig.get_path("stdlib"))
    extensions = _copy_tree(archive, library, str(library))
    done = subprocess.run(
        ["ldd", str(interpreter), *map(str, extensions)],
        capture_output=True, text=True, timeout=_LDD_SECONDS, check=True,
    )  # fmt: skip
    for name in sorted(set(_LIBRARY.findall(done.stdout))):
        archive.copy(Path(name))


def _copy_tree(archive: Archive, folder: Path, name: str) -> list[Path]:
    """Add a folder's Python files. Times are kept, so that the compiled files are valid.

    Returns the extension modules among them.
    """
    extensions = []
    for path in sorted(folder.iterdir()):
        if _HEAD.split(path.name)[0] in _WITHOUT or path.name.endswith(_OPTIMISED):
            continue
        if path.is_dir():
            extensions += _copy_tree(archive, path, f"{name}/{path.name}")
        elif path.suffix in (".py", ".pyc", ".so"):
            archive.copy(path, f"{name}/{path.name}")
            extensions += [path] if path.suffix == ".so" else []
    return extensions
