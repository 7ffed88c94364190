"""Patient Identifier Cross-referencing for mobile (PIXm).

Actors and transactions as in ITI TF-1:41.1, Table 1:41.1-1 (https://profiles.ihe.net/ITI/PIXm/volume-1.html).
"""

from app.pixm.iti83_patient_identifier_cross_reference_query import ITI83
from app.pixm.iti104_patient_identity_feed import ITI104

CROSS_REFERENCE_MANAGER = (ITI83, ITI104)

TRANSACTIONS = CROSS_REFERENCE_MANAGER
