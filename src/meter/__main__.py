"""``python -m meter``."""

from meter.cli import main

main()
