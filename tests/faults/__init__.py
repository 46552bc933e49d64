"""What the ledger is put through: kills, power cuts, failing disks, crowds of writers and wrong clocks.

``python -m tests.faults --full`` runs everything and counts; ``tests/test_faults.py`` runs a reduced size.
"""
