"""What FHIR search means: definitions, index terms, questions. Pure functions; a store answers the questions.

Reading order: `definitions` (which parameters exist) · `expression`, `steps` (how their values are found) · `index`
(resource -> terms) · `token_type`, `string_type`, `date_type`, `reference_type`, `uri_type` (one search type each:
what is indexed, what a value asks) · `ask`, `chain` (what parameters ask) · `query` (query string -> `Query`) ·
`result` (`_sort`, `_include` …) · `criteria` (what a store must answer) · `page` (where the next page begins).
"""
