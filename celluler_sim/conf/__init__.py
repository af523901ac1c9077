"""Hydra's base configuration, where scenarios are found, and how one is composed."""
