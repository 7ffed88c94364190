"""The patient index: who is the same person, and how sure that is. No HTTP.

In reading order: `normalise`, `contact` and `address` make what people write comparable, `vector` collects it from a
Patient as the match vector, `keys` says under which blocking keys a record is found. `compare` grades each field of a
pair at one of the `levels`, `matching` weighs them with `parameters` and gives the grade. `candidates` finds who may be
the same person, `edges` says what is kept of a pair, `cluster` and `grouping` make persons of pairs, `cross_reference`
does all that when a record changed. `estimate` learns weights from data. `tables/` holds all words and numbers.

Spec: matching.md, MAT-01..95; the rules are this project's own, IHE leaves them open.
"""
