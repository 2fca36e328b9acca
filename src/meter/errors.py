"""What can go wrong, as a small tree: the class says what happened and whether a retry can help."""

from __future__ import annotations

from typing import ClassVar


class MeterError(Exception):
    """Something in meter failed."""

    #: Whether the same call can succeed later without anyone changing its arguments.
    retryable: ClassVar[bool] = False

    def __str__(self) -> str:
        return super().__str__() or (type(self).__doc__ or "").splitlines()[0]


class ConfigurationError(MeterError):
    """A setting is missing or cannot be used."""


class SettlementError(MeterError):
    """The database refused a change of credits; ``sqlstate`` tells which rule it was.

    Args:
        sentence: what is told to people.
        detail: what is told to programs: a word, or a JSON object; None where there is nothing more to say.
    """

    sqlstate: ClassVar[str] = ""

    def __init__(self, sentence: str = "", detail: str | None = None) -> None:
        super().__init__(*filter(None, [sentence]))
        self.detail = detail


class InsufficientCredits(SettlementError):
    """The allocation or the pool has fewer credits left than the charge needs."""

    sqlstate = "MT001"


class NoAllocation(SettlementError):
    """The user has no active allocation and the pool requires one."""

    sqlstate = "MT002"


class UnknownOrganization(SettlementError):
    """No organization has this id."""

    sqlstate = "MT003"


class IdentityConflict(SettlementError):
    """The same key came before with other content."""

    sqlstate = "MT004"


class OrganizationClosed(SettlementError):
    """The organization is closed."""

    sqlstate = "MT005"


class InvalidArgument(SettlementError):
    """An argument is outside what the contract allows."""

    sqlstate = "MT006"


class StaleRating(SettlementError):
    """Prices or plans changed since the events were rated; rate them again."""

    sqlstate = "MT007"
    retryable = True


class OrganizationVanished(SettlementError):
    """An organization was purged while its events were being settled; settle the batch again."""

    sqlstate = "MT008"
    retryable = True


class AllocationExceedsPool(SettlementError):
    """The allocations would promise more than the pool has available."""

    sqlstate = "MT009"


class RequestStillRunning(SettlementError):
    """The first request with this idempotency key is still running."""

    sqlstate = "MT020"
    retryable = True


class IdempotencyKeyReused(SettlementError):
    """The idempotency key came before with another request."""

    sqlstate = "MT021"


class NotAMember(SettlementError):
    """The user is no member of the organization."""

    sqlstate = "MT022"


class PaymentReferenceUsed(SettlementError):
    """Credits were added for this payment before."""

    sqlstate = "MT023"


class ReversalTooLarge(SettlementError):
    """More was to be taken back than is unused, or than was ever bought or paid."""

    sqlstate = "MT024"


class NotPermitted(SettlementError):
    """The member may not do this."""

    sqlstate = "MT030"


class UnknownSubscription(SettlementError):
    """No subscription has this id."""

    sqlstate = "MT031"


class StaleVersion(SettlementError):
    """What is to be changed changed since it was read."""

    sqlstate = "MT032"


class SubscriptionConflict(SettlementError):
    """The subscription, as it stands, does not allow this."""

    sqlstate = "MT033"


class UnknownMember(SettlementError):
    """The user is no member of the organization."""

    sqlstate = "MT034"


class LastOwner(SettlementError):
    """The organization would be without an owner."""

    sqlstate = "MT035"


class SeatsTaken(SettlementError):
    """The organization has as many members as it may have."""

    sqlstate = "MT036"


class MemberAlready(SettlementError):
    """The user is a member already, with another role."""

    sqlstate = "MT037"


class OrganizationTaken(SettlementError):
    """Another organization has this id or name."""

    sqlstate = "MT038"


class InvalidUsageEvent(MeterError, ValueError):
    """The arguments do not make a usage event."""


class NotAnAmount(MeterError, ValueError):
    """The text is no number in plain decimal notation."""


class AmountOutOfRange(MeterError, ValueError):
    """An amount is no decimal from 0 to 99999999999999.999999 with at most six decimal places."""


class AmountOverflow(MeterError):
    """What the event would cost has more than fourteen integer digits."""
