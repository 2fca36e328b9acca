"""Measurements of meter against what its servers can do at all; run with ``python -m bench``."""
