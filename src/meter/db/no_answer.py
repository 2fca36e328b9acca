"""How it shows that the database gave no answer, whatever became of what was asked."""

from __future__ import annotations

from typing import Final

import asyncpg

#: The network, the clock, and the driver's two ways to say that a connection cannot be used: to one that the
#: server has just ended it says that it is in a state of its own.
NO_ANSWER: Final = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
