"""What the operator says on the command line: one file for each command, or for a few on one subject.

A command is a `Command`; `app/__main__.py` lists them.
"""
