"""What takes part in a tick beside the resource market: pools, a market for training, trust, governance."""
