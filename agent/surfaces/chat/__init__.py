"""Chat in the terminal: a conversation with a library, at a prompt or through a pipe."""
