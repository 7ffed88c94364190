"""Measures the hot paths as ratios to the limit of the machine: `python -m tests.bench`, that is `make bench`.

Times are CPU times of the server's process, not wall clock, unless a row says otherwise: what the database or another
program does meanwhile does not count. What a row is compared with is measured in turns with it, in the same run.
"""
