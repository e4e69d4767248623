"""Italian texts of payments."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    notifications={
        "payment.unplaced": (
            "Il pagamento torna indietro",
            "{amount}: la prenotazione non c’è più, l’importo torna da dove è venuto.",
        ),
        "payment.returned": ("Pagamento restituito", "{amount} per {title}: restituito da dove è venuto."),
    },
    timeline={
        "payment.requested": "{customer} ha iniziato il pagamento di {amount}.",
        "payment.unplaced": "{amount}: importo che la prenotazione non prevede; torna da dove è venuto.",
        "payment.returned": "{amount}: importo restituito da dove è venuto.",
    },
    errors={
        "hold_spent": ("Già regolato", "L’importo è già stato sbloccato o rimborsato."),
        "insufficient_funds": ("Denaro insufficiente", "Il saldo non basta per l’importo."),
        "signature_invalid": ("La firma non è valida", "La firma non è quella necessaria ({reason})."),
    },
)
