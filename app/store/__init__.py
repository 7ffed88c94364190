"""MongoDB, and nothing else knows it: resources, their history and their documents."""
