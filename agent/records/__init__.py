"""What is kept of the use of chat models: ledger, logs, masking of secrets."""
