"""Internet User Authorization (IUA), as far as this server issues or describes tokens.

Actors and transactions as in ITI TF-1:34.
"""
