"""From files of complaints to :class:`~fieldkit.complaints.Entry` rows and flags; knows no database.

Each reader is a plugin of the group ``fieldkit.readers``; what they share stands in ``tables`` (rows),
``columns`` (which column feeds which field), ``times``, ``terms`` (categories and channels) and ``instructions``
(what the person importing said). ``gazetteer`` finds places by name.
"""
