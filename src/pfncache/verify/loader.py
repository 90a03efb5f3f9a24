# SPDX-License-Identifier: GPL-2.0-only
"""A user's own design, from a Python file."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path

from pfncache.designs.design import Design


class DesignFileError(Exception):
    """The file has no design that can be checked. The message is one line, with file and line where there is one."""


def load_design(name: str) -> Design:
    """Execute the file and return the one design that it makes."""
    path = Path(name)
    if not path.is_file():
        raise DesignFileError(f"{name}: no such file; give a Python file that makes a design, or a design's name")
    spec = importlib.util.spec_from_file_location(f"pfncache_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise DesignFileError(f"{name}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        if isinstance(error, SyntaxError) and error.filename == str(path.absolute()):
            raise DesignFileError(f"{name}:{error.lineno}: {error.msg}") from None
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path.absolute()]
        lines += [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        where = f"{name}:{lines[-1]}" if lines else name
        what = error.msg if isinstance(error, SyntaxError) else error
        raise DesignFileError(f"{where}: {type(error).__name__}: {what}") from None
    found = {n: v for n, v in vars(module).items() if isinstance(v, Design) and not v.name}
    if not found:
        raise DesignFileError(f"{name}: makes no design; write e.g. `my_design = mainline_7_3 + [MyPatch]`")
    if len(found) > 1:
        raise DesignFileError(
            f"{name}: makes {len(found)} designs ({', '.join(found)}); keep one, or give each its own file"
        )
    ((variable, design),) = found.items()
    title = design.patches[-1].subject() if design.patches else variable
    return design.named(variable.replace("_", "-"), title)
