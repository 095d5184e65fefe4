"""Prompt templates as files with declared variables."""
