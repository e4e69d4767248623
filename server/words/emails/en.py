"""English."""

from collections.abc import Mapping

CODE = "en"
DAY = "EEEE d MMMM yyyy"
TIME = "HH:mm"

TEXTS: Mapping[str, str] = {
    # Letters
    "hello": "Hello {name},",
    "hello.nobody": "Hello,",
    "service": "Service",
    "with": "With",
    "business": "Business",
    "when": "When",
    "where": "Where",
    "price": "Price",
    "number": "Booking",
    "cancel": "Cancel this booking",
    "cancel.hint": (
        "Something came up? The button shows you what happens before anything does. It works until the booking starts."
    ),
    "confirm": "Yes, all is well",
    "confirm.hint": "Then the money goes to {business}. If we hear nothing, it does so on {release_at}.",
    "why.booking": "You get this letter because you have a part in booking {number}.",
    "why.account": "You get this letter because you have an account with {brand}.",
    "why.safety": "You get this letter because it is about the safety of your account.",
    "why.code": (
        "You get this letter because somebody entered your address. If that was not you, there is nothing to do."
    ),
    "unsubscribe": "No more e-mails of this kind",
    "code.title": "Your code",
    "code.lead": "Enter it to confirm that this address is yours.",
    "reset.title": "A new password",
    "reset.lead": "Enter this code, and choose a new password. Until then the old one holds.",
    # Pages
    "page.harmless": "Nothing happens until you press the button.",
    "page.cancel.title": "Cancel this booking?",
    "page.cancel.lead": "What was paid goes to your wallet.",
    "page.cancel.button": "Cancel booking",
    "page.cancel.done.title": "Cancelled",
    "page.cancel.done.lead": "The booking is cancelled. What was paid is in your wallet.",
    "page.cancel.used.title": "Cancelled already",
    "page.cancel.used.lead": "This booking was cancelled before. There is nothing left to do.",
    "page.cancel.late.title": "Too late to cancel here",
    "page.cancel.late.lead": "The booking has begun, is over, or ended in another way.",
    "page.confirm.title": "Is all well?",
    "page.confirm.lead": "The money then goes to {business}. That cannot be taken back.",
    "page.confirm.button": "Yes, all is well",
    "page.confirm.done.title": "Thank you!",
    "page.confirm.done.lead": "The money goes to {business}.",
    "page.confirm.used.title": "Confirmed already",
    "page.confirm.used.lead": "The money has gone to {business} before. There is nothing left to do.",
    "page.confirm.late.title": "Nothing to confirm",
    "page.confirm.late.lead": "The booking is not in a state in which it could be confirmed.",
    "page.unsubscribe.title": "No more e-mails of this kind?",
    "page.unsubscribe.lead": "“{kind}” will not come by e-mail any more. In the app you still find it.",
    "page.unsubscribe.button": "Switch off",
    "page.unsubscribe.done.title": "Switched off",
    "page.unsubscribe.done.lead": "“{kind}” does not come by e-mail any more. In the app you can switch it on again.",
    "page.expired.title": "This link has expired",
    "page.expired.lead": "Links in letters hold for a while only. In the app you can do what is still possible.",
    "page.broken.title": "This link is incomplete",
    "page.broken.lead": "A part was lost or changed on the way. Please open it from the letter again.",
    "page.busy.title": "Not just now",
    "page.busy.lead": "Nothing has happened. Please try again in a moment.",
}
COUNTED: Mapping[str, Mapping[str, str]] = {
    "digest.subject": {"one": "{n} piece of news for you", "other": "{n} pieces of news for you"},
    "code.holds": {
        "one": "It holds for {n} minute, and for one use.",
        "other": "It holds for {n} minutes, and for one use.",
    },
}
