"""Questions about on-chain events without a chat model: read by a grammar, asked in SQL, told exactly."""
