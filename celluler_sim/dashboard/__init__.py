"""The dashboard: a page on this machine alone, from which runs are started, watched and compared."""
