"""The embedded stack of ``meter up`` and of the tests: private servers, started and stopped with their owner."""
