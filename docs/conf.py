# SPDX-License-Identifier: GPL-2.0-only
"""How Sphinx builds the site (``make docs``) and the man page (``make man``). Nothing is fetched."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import pfncache  # noqa: E402
from tools import architecture, fidelity, reference  # noqa: E402

GENERATED = HERE / "generated"
"""Pages and pictures that are made from the code, anew for each build."""
GENERATED.mkdir(exist_ok=True)
architecture.draw(architecture.imports(), GENERATED / "architecture.svg")
(GENERATED / "fidelity.md").write_text(fidelity.render(fidelity.entries()))
for _name, _text in reference.pages().items():
    (GENERATED / f"{_name}.md").write_text(_text)

project = "pfncache"
author = "the pfncache developers"
project_copyright = author
version = release = pfncache.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_click"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]
myst_links_external_new_tab = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
pygments_style = "friendly"

html_theme = "furo"
html_title = "pfncache"
html_static_path = ["_static"]
html_css_files = ["pfncache.css"]
html_show_sourcelink = False
html_copy_source = False

man_pages = [("reference/commands", "pfncache", "check KVM's gfn_to_pfn_cache", [author], 1)]
man_show_urls = True
