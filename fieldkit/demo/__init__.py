"""The 2017 demonstration city: 692 invented complaints with the figures of a real report, in real Guangyuan."""

from fieldkit.demo.city import SOURCE, DemoComplaint, make_complaints, previous_year
from fieldkit.demo.figures import expected_counts
from fieldkit.demo.layers import areas_path, gazetteer_path, write_workspace_layers
from fieldkit.demo.matters import STORIES

__all__ = [
    "SOURCE",
    "STORIES",
    "DemoComplaint",
    "areas_path",
    "expected_counts",
    "gazetteer_path",
    "make_complaints",
    "previous_year",
    "write_workspace_layers",
]
