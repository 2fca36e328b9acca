"""Write the documents of the contract: ``python -m meter.contract [--check] [FOLDER]``."""

import sys

from meter.contract import main

if __name__ == "__main__":
    sys.exit(main())
