"""The patient index: who is the same person, and how sure that is. Pure functions; no store, no HTTP.

In reading order: `normalise`, `contact` and `address` make what people write comparable, `vector` collects it from a
Patient as the match vector, `keys` says under which blocking keys a record is found. `compare` grades each field of a
pair, `matching` weighs the levels with `parameters` and gives the grade, `cluster` makes persons of pairs.
`estimate` learns weights from data, `python -m app.patient` runs it. `tables/` holds all words and numbers.

Spec: matching.md, MAT-01..95; the rules are this project's own, IHE leaves them open.
"""
