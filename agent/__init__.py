"""From a question to a grounded answer."""
