"""How the tables came to be, version by version; run by :mod:`fieldkit.ledger.store`."""
