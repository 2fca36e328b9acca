"""The embedded stack of ``meter up`` and of the tests: private servers that end with their owner."""
