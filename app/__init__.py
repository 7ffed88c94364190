"""A FHIR-native server for IHE document sharing and patient identity, over MongoDB.

In reading order: `main` puts the parts together, from `settings`. `transaction` says what a transaction is; `mhd` has
one file for each transaction of its IHE profile, and `document` what they share. `fhir`, `search` and `validation` are
how FHIR works, `store` is where it is kept, `rest` is HTTP. `capability` tells a client what all of this offers.
"""

__version__ = "0.1.0"
