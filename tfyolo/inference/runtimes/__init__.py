"""One file per kind of model file that can be run; export/registry.py says which is which."""
