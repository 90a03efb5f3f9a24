# SPDX-License-Identifier: GPL-2.0-only
"""Files of pictures, which Matplotlib draws: an extra."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class PictureError(Exception):
    """The plot cannot be drawn. One line."""


def check_picture(path: Path) -> None:
    """Raise PictureError if nothing can be drawn into this file, for its place or its format."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 (an extra)

        mpl.use("Agg")
        from matplotlib.backend_bases import FigureCanvasBase  # noqa: PLC0415
    except ImportError:
        raise PictureError("a plot needs Matplotlib: pip install 'pfncache[plot]'") from None
    formats = sorted(FigureCanvasBase.get_supported_filetypes())
    if path.suffix.removeprefix(".").lower() not in formats:
        raise PictureError(f"{path} has no format that Matplotlib draws: {', '.join(formats)}")
    try:
        if not path.parent.is_dir():
            raise PictureError(f"{path}: there is no folder {path.parent}")
        if path.exists() and not path.is_file():
            raise PictureError(f"{path} is not a file")
    except OSError as error:
        raise PictureError(f"{path}: {error.strerror}") from None
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise PictureError(f"{path} may not be written")


@contextmanager
def drawing(rows: int, columns: int, **options: Any) -> Iterator[tuple[Any, Any]]:
    """Yield a new figure and its axes, and free it. The same contents give the same SVG.

    `options` are those of pyplot.subplots(). Raises ImportError without Matplotlib: see check_picture().
    """
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "pfncache"
    mpl.rcParams["svg.fonttype"] = "none"
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(rows, columns, layout="constrained", **options)
    try:
        yield figure, axes
    finally:
        pyplot.close(figure)


def save(figure: Any, path: Path) -> None:
    """Write a figure into a file that passes check_picture(). Raises PictureError if it cannot be written."""
    try:
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    except OSError as error:
        raise PictureError(f"cannot write {path}: {error.strerror}") from None
