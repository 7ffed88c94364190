"""Who did what to which record: audit events, where they are kept, and how they are read.

Spec: IHE BALP 1.1.4; IHE ITI Add RESTful ATNA (ITI-20, ITI-81); the audit sections of MHD, PIXm and PDQm.
"""
