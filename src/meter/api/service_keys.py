"""API keys that callers show: looked up in the database, believed for seconds."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meter.api.callers import Scope, Service
from meter.api.key_sets import TokenRefused
from meter.db.key_secrets import digest, looks_like_a_key
from meter.errors import MeterError
from meter.telemetry import get_logger

if TYPE_CHECKING:
    from meter.db.api_keys import GoodApiKey, PresentedKeys

log = get_logger(__name__)

#: Seconds for which a key that was good is not looked up again. A revoked key is refused within 5 s; the rest
#: of them is for a slow lookup.
BELIEVED_S = 2.0
#: Keys remembered at most, in each process.
REMEMBERED_MAX = 4_096


@dataclass(frozen=True, slots=True)
class _Believed:
    service: Service
    until: float


class ServiceKeys:
    """Checks API keys.

    Args:
        presented: where they are looked up: the primary, for a replica may not know yet who was shut out.
        believed_s: for how long a good key is not looked up again, in seconds.
    """

    def __init__(self, presented: PresentedKeys, *, believed_s: float = BELIEVED_S) -> None:
        self._presented = presented
        self._believed_s = believed_s
        self._believed: OrderedDict[bytes, _Believed] = OrderedDict()

    async def caller(self, key: str) -> Service:
        """Check a key.

        Args:
            key: what came after ``Bearer``.

        Returns:
            Which service it is.

        Raises:
            TokenRefused: it is malformed, unknown, expired or revoked; the message does not say which.
            DatabaseNotReachable, ReadTookTooLong: it could not be looked up.
        """
        if not looks_like_a_key(key):
            raise _refused()
        key_digest = digest(key)
        believed = self._believed.get(key_digest)
        # From before the lookup: a key revoked while it runs is not believed any longer than others.
        now = time.monotonic()
        if believed is not None and now < believed.until:
            return believed.service
        self._believed.pop(key_digest, None)
        good = await self._presented.good(key_digest)
        if good is None:
            raise _refused()
        if good.use_is_to_be_noted:
            await self._note_use(good)
        service = _service(good)
        lasts_s = self._believed_s if good.expires_in_s is None else min(self._believed_s, good.expires_in_s)
        self._believed[key_digest] = _Believed(service, now + lasts_s)
        if len(self._believed) > REMEMBERED_MAX:
            self._believed.popitem(last=False)
        return service

    async def _note_use(self, good: GoodApiKey) -> None:
        try:
            await self._presented.note_use(good.key_id)
        except MeterError as error:
            # Nobody is turned away because a note could not be made.
            log.warning("use of an API key not noted", key_id=str(good.key_id), reason=str(error))


def _service(good: GoodApiKey) -> Service:
    return Service(
        key_id=good.key_id,
        name=good.name,
        org_id=good.org_id,
        scopes=frozenset(map(Scope, good.scopes)),
        reads_per_minute=good.reads_per_minute,
        writes_per_minute=good.writes_per_minute,
    )


def _refused() -> TokenRefused:
    return TokenRefused("the API key is not known, has expired or was revoked")
