"""Those who answer: from the tables of a chain, in quotations, or by a chat model."""
