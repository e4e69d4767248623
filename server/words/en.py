"""English."""

from collections.abc import Mapping

MOMENT = "EEEE d MMMM, HH:mm"
SOMEBODY = "Somebody"
#: A digest: its title, what stands before its items, and what behind them if there are more.
DIGEST = (
    "What you have missed",
    "This has happened, and you have not read it yet:",
    "And {count} more, in the app.",
)

TEXTS: Mapping[str, tuple[str, str]] = {
    "booking.paid": ("New booking", "{customer} booked {title} on {starts_at}. {amount} is paid."),
    "booking.confirmed": ("Booking confirmed", "{title} with {staff} on {starts_at} is confirmed."),
    "booking.declined": ("Booking declined", "{staff} cannot take {title} on {starts_at}."),
    "booking.cancelled": ("Booking cancelled", "{by} cancelled {title} on {starts_at}."),
    "booking.abandoned": (
        "Booking cancelled",
        "No other way was found for {title} on {starts_at}. What was paid goes back in full.",
    ),
    "booking.expired": ("Booking expired", "{title} on {starts_at} was not paid in time. The time is free again."),
    "booking.revived": ("Booking is back", "The payment for {title} came late, and the time was still free."),
    "booking.reminded": ("Starts within the hour", "{title} with {staff} starts on {starts_at}."),
    "booking.started": ("The job has begun", "{staff} has started {title}."),
    "booking.completed": ("The job is done", "{staff} has finished {title}. Please confirm that all is well."),
    "booking.released": ("Money released", "{amount} for {title} has been released."),
    "booking.refunded": ("Refund", "{amount} for {title} is back in your wallet."),
    "payment.unplaced": (
        "Payment goes back",
        "{amount} came for a booking that is no more. It goes back to its source.",
    ),
    "payment.returned": ("Payment sent back", "{amount} for {title} was sent back to where it came from."),
    "message.posted": ("New messages", "{by} wrote to you about {title}."),
    "session.opened": ("New sign-in", "Your account was signed in to on a new device ({device})."),
    "session.revoked": (
        "Signed out for safety",
        "A sign-in of yours was used twice, so we ended it. If that was not you, change your password.",
    ),
    # What it says is its sender's; these words stand where that was erased.
    "notification.sent": ("A message for you", ""),
    "password.changed": (
        "Password changed",
        "Your password was changed. If that was not you, reset it at once and tell us.",
    ),
    "code.sms": ("Your code", "{code} is your Guildwire code. It holds for 10 minutes. Tell it to nobody."),
    "code.email": ("Your code", "{code} is your code. It shows that this address is yours, and holds for 10 minutes."),
    "reset.email": (
        "A new password",
        "{code} is the code for your new password. It holds for 10 minutes. If you did not ask for it, do nothing.",
    ),
    "email.changed": (
        "E-mail address changed",
        "Your account has another e-mail address now. If that was not you, tell us at once.",
    ),
}
