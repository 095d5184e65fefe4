"""What a chat model is sent: budget, packing, evidence, conversation, composition."""
