"""Example data: a handful of invented people and their documents, so that the first request finds something."""
