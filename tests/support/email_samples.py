"""One e-mail of each kind with fixed, awkward names, places and amounts."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from protocol.booking.events import (
    BookingAbandoned,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingDeclined,
    BookingEndOverdue,
    BookingNoShow,
    BookingPaid,
    BookingRefunded,
    BookingReleased,
    BookingReminded,
    BookingRevived,
    BookingStaffLeft,
    BookingStartOverdue,
    PaymentReturned,
    PaymentUnplaced,
)
from protocol.booking.terms import BookingStatus, DeclineReason, EscrowStatus, ReleaseCause
from protocol.code.events import PasswordChanged
from protocol.code.terms import EMAIL_CHANGED
from protocol.delivery.channels import Channel
from protocol.delivery.terms import DIGEST
from protocol.events import Event
from protocol.ids import (
    BookingId,
    BusinessId,
    DeliveryId,
    InvitationId,
    Kind,
    NotificationId,
    PaymentId,
    Ref,
    SessionId,
    UserId,
)
from protocol.notice.events import NotificationSent
from protocol.notice.rows import Notice
from protocol.notification.terms import Reader
from protocol.preference.rows import NotificationPreferences
from protocol.roles import Role
from protocol.user.events import SessionOpened, SessionRevoked, UserInvited
from protocol.user.terms import RevokeReason
from server.delivery.channels.email.content import EmailContent, EmailWriter
from server.delivery.context import DeliveryContext
from server.delivery.digest import Digest, make_digest
from server.delivery.renderer import NotificationContext, NotificationRenderer
from server.links.tokens import Links
from server.words.languages import language
from storage.deliveries import Leased
from storage.queries.booking_email import BookingEmailView
from storage.queries.notification import BookingSummary, NotificationRecord

CARLA, STAFF, OWNER = (UserId(UUID(int=number)) for number in (0xC1, 0x5A, 0x0E))
NOTICE = UUID(int=0x4E)
BOOKING = BookingId(UUID("01890000-0000-7000-8000-0000000000b0"))
NOW = datetime(2026, 3, 27, 9, 5, tzinfo=UTC)
#: The night after, clocks in Berlin go forward.
STARTS_AT = datetime(2026, 3, 28, 22, 30, tzinfo=UTC)
LINKS = Links(b"golden" * 6, "https://guild.example")
BRAND = "The Guild"
EMAIL_WRITER = EmailWriter(LINKS.url_of, BRAND)
TITLE = "Klavier stimmen & „Konzert“-Intonation <Flügel>"
NAMES = {CARLA: "Carla O’Connor-Weiß", STAFF: "Zoë Ångström", OWNER: "Olga Owner"}
ADDRESS = "Donaudampfschifffahrtsgesellschaftskapitänsweg 12b, 10115 Berlin"

#: Event and recipient.
SALON = BusinessId(UUID(int=4))
_PAYMENT: dict[str, Any] = {"payment_id": PaymentId(UUID(int=0xFA)), "amount_minor": 123_456, "currency": "EUR"}
_EVENTS: tuple[tuple[Event, UserId], ...] = (
    (BookingPaid(**_PAYMENT, at=NOW), OWNER),
    (BookingConfirmed(), CARLA),
    (BookingConfirmed(), STAFF),
    (BookingDeclined(by=STAFF, staff_id=STAFF, reason_code=DeclineReason.UNWELL, counted=False), CARLA),
    (BookingCancelled(by=STAFF), CARLA),
    (BookingAbandoned(), CARLA),
    (BookingRevived(hold_id=UUID(int=1)), CARLA),
    (BookingReminded(starts_at=STARTS_AT), CARLA),
    (BookingCompleted(at=NOW, release_at=NOW + timedelta(days=1)), CARLA),
    (BookingStartOverdue(ends_at=STARTS_AT + timedelta(hours=1), no_show_at=STARTS_AT + timedelta(hours=27)), CARLA),
    (BookingNoShow(staff_id=STAFF), CARLA),
    (BookingStaffLeft(staff_id=STAFF, at=NOW), OWNER),
    (BookingEndOverdue(started_at=STARTS_AT, complete_at=STARTS_AT + timedelta(hours=49)), OWNER),
    (BookingReleased(amount_minor=111_111, commission_minor=1, currency="EUR", cause=ReleaseCause.CUSTOMER), OWNER),
    (BookingRefunded(amount_minor=123_456, currency="EUR"), CARLA),
    (PaymentUnplaced(**_PAYMENT), CARLA),
    (PaymentReturned(**_PAYMENT), CARLA),
    (
        SessionOpened(session_id=SessionId(UUID(int=2)), device="Firefox", role=Role.CUSTOMER, expires_at=NOW, at=NOW),
        CARLA,
    ),
    (
        UserInvited(
            invitation_id=InvitationId(UUID(int=3)),
            business_id=SALON,
            role=Role.STAFF,
            manager=False,
            by_email=True,
            expires_at=NOW + timedelta(days=14),
        ),
        CARLA,
    ),
    (PasswordChanged(by_code=True, password_version=2, at=NOW), CARLA),
    (NotificationSent(notice_id=NOTICE, by=OWNER, channels=(Channel.EMAIL,)), CARLA),
    (SessionRevoked(session_id=SessionId(UUID(int=2)), reason=RevokeReason.REUSE, at=NOW), CARLA),
)
_ABOUT_MONEY = [pair for pair in _EVENTS if "amount_minor" in pair[0].__struct_fields__ and pair[1] == CARLA]
_SUFFIX = {CARLA: "", STAFF: ".staff", OWNER: ".owner"}

#: The zone of all readers.
ZONE = "Europe/Rome"


def sample_emails(code: str) -> Iterator[tuple[str, EmailContent]]:
    """Name and content of each kind of e-mail in a language."""
    for event, user_id in _EVENTS:
        context = context_of(code, user_id, event)
        booking = BOOKING_VIEW if event.type.startswith(("booking.", "payment.")) else None
        yield f"{event.type}{_SUFFIX[user_id]}", EMAIL_WRITER.notice(context, booking, NOW)
    for count in (1, 3):
        records = [_record(user_id, event) for event, user_id in _ABOUT_MONEY[-count:]]
        digest = make_digest(records, NotificationRenderer(language(code), ZONE, CONTEXT))
        yield f"digest.{count}", EMAIL_WRITER.digest(context_of(code, CARLA, None, digest, template=DIGEST))
    yield EMAIL_CHANGED, EMAIL_WRITER.notice(context_of(code, CARLA, None, template=EMAIL_CHANGED), None, NOW)
    for template in ("code.email", "reset.email"):
        yield template, EMAIL_WRITER.code(context_of(code, CARLA, None, template=template, secret="040912"))


def context_of(
    code: str, user_id: UserId, event: Event | None, digest: Digest | None = None, **fields: Any
) -> DeliveryContext:
    """The context of one delivery."""
    delivery = Leased(
        **{
            "id": DeliveryId(UUID(int=0xDE)),
            "user_id": user_id,
            "notification_id": None if event is None else NotificationId(UUID(int=0xA0)),
            "template": "" if event is None else event.type,
            "channel": Channel.EMAIL,
            "device_id": None,
            "address": None,
            "secret": None,
            "critical": False,
            "expires_at": None if event is not None else NOW + timedelta(minutes=10),
            "unless": None,
            "attempts": 1,
            "unknown_outcomes": 0,
            "at": NOW,
            **fields,
        }
    )
    preferences = NotificationPreferences(user_id=user_id, zone=ZONE)
    reader = Reader(
        user_id=user_id,
        name=NAMES[user_id],
        language=code,
        email="reader@people.test",
        phone_number=None,
        preferences=preferences,
    )
    return DeliveryContext(
        delivery, reader, language(code), None if event is None else _record(user_id, event), CONTEXT, digest
    )


def _record(user_id: UserId, event: Event) -> NotificationRecord:
    entity = (
        Ref(Kind.USER, user_id) if not event.type.startswith(("booking.", "payment.")) else Ref(Kind.BOOKING, BOOKING)
    )
    return NotificationRecord(
        user_id=user_id,
        id=NotificationId(UUID(int=0xA0)),
        type=event.type,
        entity=entity,
        event=event,
        read=False,
        at=NOW,
    )


CONTEXT = NotificationContext(
    {
        BOOKING: BookingSummary(
            title=TITLE,
            number="GW-2026-00042",
            zone="Europe/Berlin",
            starts_at=STARTS_AT,
            customer_id=CARLA,
            staff_id=STAFF,
            total_amount_minor=123_456,
            currency="EUR",
        )
    },
    NAMES,
    {
        NOTICE: Notice(
            id=NOTICE,
            title="Über Ostern & <danach>",
            body="Wir machen Pause.\n\nAm 7. sind wir zurück.",
            sent_by=OWNER,
            at=NOW,
        )
    },
    {SALON: "Ümläut & Söhne, Klavierbau"},
)
BOOKING_VIEW = BookingEmailView(
    id=BOOKING,
    title=TITLE,
    number="GW-2026-00042",
    status=BookingStatus.CONFIRMED,
    escrow_status=EscrowStatus.HELD,
    zone="Europe/Berlin",
    starts_at=STARTS_AT,
    ends_at=STARTS_AT + timedelta(hours=2),
    customer_id=CARLA,
    staff=NAMES[STAFF],
    business="Ümläut & Söhne, Klavierbau",
    address=ADDRESS,
    city="Berlin",
    total_amount_minor=123_456,
    currency="EUR",
)
