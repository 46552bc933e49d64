"""Sphinx settings of the manual: plain Markdown, and nothing that asks for anything beyond this machine."""

project = "fieldkit"
author = "the fieldkit contributors"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {
    "description": "A field investigation kit for environmental complaints",
    "fixed_sidebar": True,
    "font_family": "system-ui, 'Noto Sans CJK SC', 'Microsoft YaHei', sans-serif",
    "font_size": "16px",
    "head_font_family": "system-ui, 'Noto Sans CJK SC', 'Microsoft YaHei', sans-serif",
}
html_show_sourcelink = False
html_show_sphinx = False
myst_heading_anchors = 3
nitpicky = False
