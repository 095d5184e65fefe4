"""The values of an answer and their text forms, citations, and verification of stored answers."""
