"""People who never were, for loads and tests: `households` says who they are, `clerks` what is written of them.

`sources` gives them to the identifier domains of a deployment, a person of two hospitals twice. The same seed gives the
same people, everywhere and always.
"""
