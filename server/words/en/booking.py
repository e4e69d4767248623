"""English texts of bookings."""

from server.words.texts import EventText, NounTexts

TEXTS = NounTexts(
    events={
        "booking.created": EventText(timeline="{customer} booked {title} with {staff} for {starts_at}, at {total}."),
        "booking.paid": EventText(
            title="New booking",
            body="{customer} booked {title} on {starts_at}. {amount} is paid.",
            timeline="{amount} was paid and is held until the job is done.",
        ),
        "booking.approved": EventText(timeline="{by} took the job."),
        "booking.confirmed": EventText(
            title="Booking confirmed",
            body="{title} with {staff} on {starts_at} is confirmed.",
            timeline="The booking is confirmed.",
        ),
        "booking.declined": EventText(
            title="Booking declined",
            body="{staff} cannot take {title} on {starts_at}.",
            timeline="{by} declined the job: {reason}.",
        ),
        "booking.declined:NO_ANSWER": EventText(timeline="Nobody answered in time, so the job went back."),
        "booking.staff_left": EventText(
            title="A staff member left",
            body="{staff} left the business. Please see to {title} on {starts_at}.",
            timeline="{staff} left the business.",
        ),
        "booking.cancelled": EventText(
            title="Booking cancelled",
            body="{by} cancelled {title} on {starts_at}.",
            timeline="{by} cancelled the booking.",
        ),
        "booking.abandoned": EventText(
            title="Booking cancelled",
            body="No other way was found for {title} on {starts_at}. What was paid goes back in full.",
            timeline="No other way was found before the start, so the booking was cancelled.",
        ),
        "booking.expired": EventText(
            title="Booking expired",
            body="{title} on {starts_at} was not paid in time. The time is free again.",
            timeline="Nobody paid in time, so the booking expired.",
        ),
        "booking.revived": EventText(
            title="Booking is back",
            body="The payment for {title} came late, and the time was still free.",
            timeline="The payment came late, but the time was still free: the booking is back.",
        ),
        "booking.started": EventText(
            title="The job has begun",
            body="{staff} has started {title}.",
            timeline="The job began.",
        ),
        "booking.completed": EventText(
            title="The job is done",
            body="{staff} has finished {title}. Please confirm that all is well.",
            timeline="The job was done. The money is released by {release_at} at the latest.",
        ),
        "booking.completed:time": EventText(
            timeline="Nobody ended the job, so it counts as done. The money is released by {release_at} at the latest.",
        ),
        "booking.start_overdue": EventText(
            title="Has the job begun?",
            body="{title} on {starts_at} was not started. Did it take place?",
            timeline="The job was not started. Without a start by {no_show_at} it counts as a no-show.",
        ),
        "booking.no_show": EventText(
            title="Nobody came",
            body="{staff} did not start {title} on {starts_at}. What was paid goes back in full.",
            timeline="{staff} did not start the job: it counts as a no-show.",
        ),
        "booking.end_overdue": EventText(
            title="A job is still running",
            body="{title} with {staff}, begun on {starts_at}, is far past its planned end. Please complete it.",
            timeline="The job is far past its planned end. It is completed on {complete_at} at the latest.",
        ),
        "booking.released": EventText(title="Money released", body="{amount} for {title} has been released."),
        "booking.released:customer": EventText(timeline="{customer} confirmed the job: {amount} was released."),
        "booking.released:time": EventText(timeline="Nobody objected in time: {amount} was released."),
        "booking.refunded": EventText(
            title="Refund",
            body="{amount} for {title} is back in your wallet.",
            timeline="{amount} went back to {customer}’s wallet.",
        ),
        "booking.reminded": EventText(
            title="Starts within the hour",
            body="{title} with {staff} starts on {starts_at}.",
            timeline="{customer} was reminded of the start at {starts_at}.",
        ),
    },
    terms={
        "someone_erased": "A deleted account",
        "server": "The server",
        "unknown_event": "Something happened ({type}).",
        "decline.SCHEDULE_CONFLICT": "another appointment",
        "decline.TOO_FAR": "too far away",
        "decline.UNWELL": "unwell",
        "decline.SAFETY": "safety",
        "decline.SKILL_MISMATCH": "not the right skills",
        "decline.EQUIPMENT": "equipment is missing",
        "decline.OTHER": "other reasons",
        "decline.NO_ANSWER": "no answer",
    },
    emails={
        "service": "Service",
        "with": "With",
        "business": "Business",
        "when": "When",
        "where": "Where",
        "price": "Price",
        "number": "Booking",
        "cancel": "Cancel this booking",
        "cancel.hint": (
            "Something came up? The button shows you what happens before anything does. It works until the "
            "booking starts."
        ),
        "confirm": "Yes, all is well",
        "confirm.hint": "Then the money goes to {business}. If we hear nothing, it does so on {release_at}.",
        "why.booking": "You get this e-mail because you are a party to booking {number}.",
        "page.cancel.title": "Cancel this booking?",
        "page.cancel.lead": "What was paid goes to your wallet.",
        "page.cancel.button": "Cancel booking",
        "page.cancel.done.title": "Cancelled",
        "page.cancel.done.lead": (
            "The booking is cancelled. What was paid is in your wallet. It can pay another booking."
        ),
        "page.cancel.used.title": "Cancelled already",
        "page.cancel.used.lead": "This booking was cancelled before. There is nothing left to do.",
        "page.cancel.late.title": "Too late to cancel here",
        "page.cancel.late.lead": "The booking has begun or has ended.",
        "page.confirm.title": "Is all well?",
        "page.confirm.lead": "The money then goes to {business}. That cannot be taken back.",
        "page.confirm.button": "Yes, all is well",
        "page.confirm.done.title": "Thank you!",
        "page.confirm.done.lead": "The money goes to {business}.",
        "page.confirm.used.title": "Confirmed already",
        "page.confirm.used.lead": "The money has gone to {business} before. There is nothing left to do.",
        "page.confirm.late.title": "Nothing to confirm",
        "page.confirm.late.lead": "The booking cannot be confirmed in its present state.",
    },
    errors={
        "slot_taken": ("The time is taken", "Another booking has just taken this time."),
        "own_booking": (
            "You hold this time yourself",
            "Your booking {number} at that time waits for its payment.",
        ),
        "terms_changed": ("The terms have changed", "Price or time differ from what was shown."),
        "no_staff_free": ("Nobody is free then", "No staff member who offers the service is free at that time."),
        "slot_unavailable": ("The time cannot be booked", "This time cannot be booked ({reason})."),
        "pair_blocked": ("Not available", "The two of you do not deal with each other any more."),
        "too_early": ("Too early", "This step is not possible yet."),
    },
)
