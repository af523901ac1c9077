"""Benchmarks: ratios measured in one run, results asserted."""
