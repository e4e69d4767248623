"""English texts of payments."""

from server.words.texts import EventText, NounTexts

TEXTS = NounTexts(
    events={
        "payment.requested": EventText(timeline="{customer} started to pay {amount}."),
        "payment.unplaced": EventText(
            title="Payment goes back",
            body="{amount} came for a booking that does not exist any more. It goes back to its source.",
            timeline="{amount} came, and the booking cannot take it; it goes back to its source.",
        ),
        "payment.returned": EventText(
            title="Payment sent back",
            body="{amount} for {title} was sent back to its source.",
            timeline="{amount} was sent back to its source.",
        ),
    },
    errors={
        "insufficient_funds": ("Not enough money", "The account does not hold the amount."),
        "hold_spent": ("Already settled", "The amount was released or refunded before."),
        "signature_invalid": ("The signature is not valid", "The signature of this request is not valid ({reason})."),
    },
)
