"""What the state machine draws: events and voids to be, before it is known which came before them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import product

from hypothesis import strategies as st

#: Few of each, so that events meet: in a batch, in a pool, in an allocation.
ORGANIZATIONS = ["a", "b"]
USERS = ["u", "v", "w"]
CREDITS = [0, 1, 1_000_000, 2_500_000, 7_000_000]


class Identity(Enum):
    NEW = "a new event"
    AGAIN = "an earlier event"
    REPRICED = "an earlier event, rated at another price since"
    OVERFLOWN = "an earlier event, rated at more than can be charged since"
    EXTENDED = "an earlier event, with a field that the contract does not know"
    CHANGED = "the key of an earlier event with other content"
    ELSEWHERE = "the key of an earlier event, in another organization"


@dataclass(frozen=True, slots=True)
class Draft:
    """What an event will be, once it is known which came before it."""

    org: str
    user_id: str
    service: str
    credits: int | None
    given: bool
    refusal: str | None
    identity: Identity
    #: How far back the earlier event is.
    back: int


_SERVICES: list[tuple[str, int | None, bool, str | None]] = [
    *(("llm", credits, True, None) for credits in CREDITS),
    *((f"costs-{credits}", credits, False, None) for credits in CREDITS),
    ("unheard-of", None, False, None),
    ("valuation", None, False, "amount_overflow"),
    ("llm", 1_000_000, True, "future_time"),
]
_IDENTITIES = [*[Identity.NEW] * 5, *Identity]
#: One choice an event: drawing its parts one by one would take longer than settling it.
DRAFTS = [
    Draft(org, user_id, *service, identity, back)
    for org, user_id, service, identity, back in product(
        [*ORGANIZATIONS * 5, "ghost"], USERS, _SERVICES, _IDENTITIES, (1, 3, 12)
    )
]


def _draft(number: int) -> Draft:
    # By number, as Hypothesis writes out the choices of a strategy whenever it names it.
    return DRAFTS[number]


orgs = st.sampled_from(ORGANIZATIONS)
users = st.sampled_from(USERS)
amounts = st.sampled_from([1, 1_000_000, 5_000_000, 12_500_000, 40_000_000])
a_draft = st.sampled_from(range(len(DRAFTS))).map(_draft)
drafts = st.lists(a_draft, min_size=1, max_size=20)
reset_periods = st.sampled_from(["daily", "weekly", "monthly", None, "never"])


class Target(Enum):
    KNOWN = "something of the organization, a void perhaps"
    AHEAD = "an event that comes later, perhaps"
    SAME = "what an earlier void names"
    OWN = "itself"


@dataclass(frozen=True, slots=True)
class VoidDraft:
    """What a void will be, once it is known what it can name."""

    org: str
    target: Target
    #: New; an earlier one again; the key of an earlier one with other content; of something else.
    identity: Identity
    future: bool
    back: int


VOID_DRAFTS = [
    VoidDraft(org, target, identity, future, back)
    for org, target, identity, future, back in product(
        [*ORGANIZATIONS * 4, "ghost"],
        [*[Target.KNOWN] * 6, Target.AHEAD, Target.AHEAD, Target.SAME, Target.OWN],
        [*[Identity.NEW] * 5, Identity.AGAIN, Identity.CHANGED, Identity.ELSEWHERE],
        [*[False] * 9, True],
        range(1, 9),
    )
]


def _void_draft(number: int) -> VoidDraft:
    return VOID_DRAFTS[number]


a_void_draft = st.sampled_from(range(len(VOID_DRAFTS))).map(_void_draft)
void_drafts = st.lists(a_void_draft, min_size=1, max_size=6)
