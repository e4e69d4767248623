"""English texts of payments."""

from server.words.texts import EventText, NounTexts

TEXTS = NounTexts(
    events={
        "payment.requested": EventText(timeline="{customer} went to pay {amount}."),
        "payment.unplaced": EventText(
            title="Payment goes back",
            body="{amount} came for a booking that is no more. It goes back to its source.",
            timeline="{amount} came that the booking has no place for; it goes back to where it came from.",
        ),
        "payment.returned": EventText(
            title="Payment sent back",
            body="{amount} for {title} was sent back to where it came from.",
            timeline="{amount} was sent back to where it came from.",
        ),
    },
    errors={
        "insufficient_funds": ("Not enough money", "The account does not hold the amount."),
        "hold_spent": ("Already settled", "The amount was released or refunded before."),
        "signature_invalid": ("The signature does not hold", "This is not signed as it must be ({reason})."),
    },
)
