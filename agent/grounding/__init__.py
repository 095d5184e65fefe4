"""Holds a draft against the evidence: claims, facts, alignment, entailment, repair."""
