"""Conversations: what was asked and answered, and how a follow-up is read."""
