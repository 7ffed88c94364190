"""Mobile access to Health Documents (MHD).

Actors and transactions as in ITI TF-1:33.1, Table 1:33.1-1
(https://profiles.ihe.net/ITI/MHD/1331_actors_and_transactions.html).
"""

from app.mhd.iti65_provide_document_bundle import ITI65
from app.mhd.iti66_find_document_lists import ITI66
from app.mhd.iti67_find_document_references import ITI67
from app.mhd.iti68_retrieve_document import ITI68
from app.mhd.iti105_simplified_publish import ITI105
from app.mhd.iti106_generate_metadata import ITI106
from app.mhd.search_system import SEARCHES

DOCUMENT_RECIPIENT = (ITI65, ITI105, ITI106)
DOCUMENT_RESPONDER = (ITI66, ITI67, ITI68, SEARCHES)

TRANSACTIONS = DOCUMENT_RECIPIENT + DOCUMENT_RESPONDER
