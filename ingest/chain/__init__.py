"""On-chain events: read from files and nodes, decoded, tabled, and told in plain words."""
