"""Usage metering: every event settled exactly once against prepaid credits."""

__version__ = "0.1.0"
