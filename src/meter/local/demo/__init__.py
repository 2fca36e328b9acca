"""``meter up --demo``: a real trace of LLM requests, replayed as the usage of 40 organizations."""

from meter.local.demo.replay import replay

__all__ = ["replay"]
