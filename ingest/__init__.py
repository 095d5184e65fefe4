"""Sources to documents to passages."""
