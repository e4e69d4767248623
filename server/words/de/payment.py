"""German texts of payments."""

from server.words.texts import EventText, NounTexts

TEXTS = NounTexts(
    events={
        "payment.requested": EventText(timeline="{customer} hat begonnen, {amount} zu bezahlen."),
        "payment.unplaced": EventText(
            title="Zahlung geht zurück",
            body="{amount} kamen für eine Buchung, die es nicht mehr gibt. Sie gehen an ihre Quelle zurück.",
            timeline="{amount} kamen, die nicht zur Buchung gehören; sie gehen dorthin zurück, woher sie kamen.",
        ),
        "payment.returned": EventText(
            title="Zahlung zurückgesandt",
            body="{amount} für {title} gingen dorthin zurück, woher sie kamen.",
            timeline="{amount} gingen dorthin zurück, woher sie kamen.",
        ),
    },
    errors={
        "hold_spent": ("Schon abgerechnet", "Der Betrag wurde bereits freigegeben oder erstattet."),
        "insufficient_funds": ("Nicht genug Geld", "Das Guthaben reicht für den Betrag nicht aus."),
        "signature_invalid": ("Die Signatur ist ungültig", "Das ist nicht so signiert, wie es sein muss ({reason})."),
    },
)
