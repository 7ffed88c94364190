"""How FHIR works, as pure functions: resources, their types, references, dates, formats, outcomes and packages."""
