"""Where people meet an answer: the command line, the chat, the bots."""
