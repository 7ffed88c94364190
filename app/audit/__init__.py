"""Who did what to which record: audit events, where they are kept, and how they are read.

Spec: IHE BALP 1.1.4; IHE ITI Add RESTful ATNA (ITI-20, ITI-81); the audit sections of MHD, PIXm and PDQm.
"""

from app.audit.iti20_record_audit_event import ITI20
from app.audit.iti81_retrieve_atna_audit_event import ITI81

AUDIT_RECORD_REPOSITORY = (ITI20, ITI81)

TRANSACTIONS = AUDIT_RECORD_REPOSITORY
