"""One module per family of mechanisms; every module here is found by itself."""
