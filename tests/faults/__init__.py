"""Models of what disks do to what was being written: power cuts, and calls that fail."""
