"""Holds: money promised to a business for a subject (a booking, …), from the promise to the release.

    HELD ──fund──▶ FUNDED ──clear──▶ PENDING_CLEARANCE ──release──▶ POSTED
     └────void───▶ VOIDED ◀──refund───┴── (from FUNDED too)

Each function adds effects to the subject's decision. The subject keeps the ``Hold`` in its state, and its events change
the status there; the commit claims that the hold still has the status that the decision was made on.
"""

from typing import Any
from uuid import UUID

from msgspec import Struct

from actors.actor import Actor
from actors.rules import ledger
from actors.rules.commission import Split, split_commission
from protocol.effects import Count, HoldStatus, MoveHold, OpenHold
from protocol.ids import BusinessId


class Hold(Struct, frozen=True, kw_only=True):
    """An amount promised to a business, as its subject's state keeps it."""

    hold_id: UUID
    business_id: BusinessId
    amount_minor: int
    currency: str
    #: The platform's share at the release, in basis points.
    commission_bp: int
    status: HoldStatus = HoldStatus.HELD


def open_hold(actor: Actor[Any], hold: Hold, purpose: str) -> None:
    """Open the hold. ``purpose`` is what is paid for: service, …"""
    terms = (hold.business_id, purpose, hold.currency, hold.amount_minor)
    actor.open_hold(OpenHold(hold.hold_id, actor.ref, *terms))


def fund(actor: Actor[Any], hold: Hold, source: str, reason: str) -> None:
    """Move the amount from an account into escrow."""
    actor.transfer(source, ledger.escrow(hold.currency), hold.amount_minor, hold.currency, reason)
    actor.move_hold(MoveHold(hold.hold_id, HoldStatus.HELD, HoldStatus.FUNDED, hold.amount_minor))


def clear(actor: Actor[Any], hold: Hold) -> None:
    """Mark the hold as pending clearance: the work is done, and the money waits for its release."""
    actor.move_hold(MoveHold(hold.hold_id, HoldStatus.FUNDED, HoldStatus.PENDING_CLEARANCE))


def release(actor: Actor[Any], hold: Hold) -> Split:
    """Move the amount from escrow to the business, less the commission (rule M-3)."""
    split = split_commission(hold.amount_minor, rate_bp=hold.commission_bp)
    escrow, currency = ledger.escrow(hold.currency), hold.currency
    actor.move_hold(MoveHold(hold.hold_id, HoldStatus.PENDING_CLEARANCE, HoldStatus.POSTED, -hold.amount_minor))
    wallet = ledger.business_wallet(hold.business_id, currency)
    actor.transfer(escrow, wallet, split.provider_minor, currency, ledger.RELEASE)
    actor.transfer(escrow, ledger.platform_revenue(currency), split.commission_minor, currency, "commission")
    if split.provider_minor:
        actor.effects.append(Count(ledger.business_revenue(hold.business_id, currency), split.provider_minor))
    return split


def void(actor: Actor[Any], hold: Hold) -> None:
    """Void a hold that was not funded."""
    actor.move_hold(MoveHold(hold.hold_id, HoldStatus.HELD, HoldStatus.VOIDED))


def refund(actor: Actor[Any], hold: Hold, account: str) -> None:
    """Move the amount from escrow back to an account of the payer, before the release."""
    actor.move_hold(MoveHold(hold.hold_id, hold.status, HoldStatus.VOIDED, -hold.amount_minor))
    actor.transfer(ledger.escrow(hold.currency), account, hold.amount_minor, hold.currency, "refund")
