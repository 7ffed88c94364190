"""Many Patients at once: `load` makes, checks and writes them in several processes, `link` finds who is one person.

First all records and their keys, then all links: the result is that of feeding one by one (MAT-66).
"""
