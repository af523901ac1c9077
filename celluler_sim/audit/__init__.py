"""The audit: whether a scenario's conclusions survive what they must not depend on."""
