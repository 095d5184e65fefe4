"""Datasets, measures, runs and benchmarks."""
