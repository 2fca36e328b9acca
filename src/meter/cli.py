"""The command line: ``meter …``."""
