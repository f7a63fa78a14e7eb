"""How Sphinx builds the documentation: ``make docs``."""

from coreai_opt import __version__

project = "coreai-opt-native"
author = "the coreai-opt-native authors"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
root_doc = "index"
exclude_patterns = ["conf.py", "release_notes.py", "renew.py"]
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}

html_theme = "furo"
html_title = f"coreai-opt-native {release}"
