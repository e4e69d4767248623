"""English texts of payments."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    notifications={
        "payment.unplaced": (
            "Payment goes back",
            "{amount} came for a booking that is no more. It goes back to its source.",
        ),
        "payment.returned": ("Payment sent back", "{amount} for {title} was sent back to where it came from."),
    },
    timeline={
        "payment.requested": "{customer} went to pay {amount}.",
        "payment.unplaced": "{amount} came that the booking has no place for; it goes back to where it came from.",
        "payment.returned": "{amount} was sent back to where it came from.",
    },
    errors={
        "insufficient_funds": ("Not enough money", "The account does not hold the amount."),
        "hold_spent": ("Already settled", "The amount was released or refunded before."),
        "signature_invalid": ("The signature does not hold", "This is not signed as it must be ({reason})."),
    },
)
