"""Patient Demographics Query for Mobile (PDQm).

Actors and transactions as in ITI TF-1:38.1, Table 1:38.1-1 (https://profiles.ihe.net/ITI/PDQm/volume-1.html).
"""

from app.pdqm.iti78_patient_demographics_query import ITI78
from app.pdqm.iti119_patient_demographics_match import ITI119

PATIENT_DEMOGRAPHICS_SUPPLIER = (ITI78, ITI119)

TRANSACTIONS = PATIENT_DEMOGRAPHICS_SUPPLIER
