"""The agents: one file per type, with its columns and its decisions over the whole population."""
