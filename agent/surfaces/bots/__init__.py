"""Bots: one surface that talks, one desk that delivers, and a thin adapter for each platform."""
