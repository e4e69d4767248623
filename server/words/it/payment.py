"""Italian texts of payments."""

from server.words.texts import EventText, NounTexts

TEXTS = NounTexts(
    events={
        "payment.requested": EventText(timeline="{customer} ha iniziato il pagamento di {amount}."),
        "payment.unplaced": EventText(
            title="Il pagamento torna indietro",
            body="{amount}: la prenotazione non c’è più, l’importo torna da dove è venuto.",
            timeline="{amount}: importo che la prenotazione non prevede; torna da dove è venuto.",
        ),
        "payment.returned": EventText(
            title="Pagamento restituito",
            body="{amount} per {title}: restituito da dove è venuto.",
            timeline="{amount}: importo restituito da dove è venuto.",
        ),
    },
    errors={
        "hold_spent": ("Già regolato", "L’importo è già stato sbloccato o rimborsato."),
        "insufficient_funds": ("Denaro insufficiente", "Il saldo non basta per l’importo."),
        "signature_invalid": ("La firma non è valida", "La firma non è quella necessaria ({reason})."),
    },
)
