"""Italian texts of businesses."""

from server.words.texts import EventText, NounTexts

TEXTS = NounTexts(
    events={
        "user.invited": EventText(
            title="Invito in un team",
            body="{business} ti invita a entrare nel suo team. Puoi accettare o rifiutare nell’app.",
        ),
        "user.not_joined": EventText(
            title="Invito non più aperto",
            body="L’invito di {business} è stato ritirato o è scaduto.",
        ),
    },
    errors={
        "owner_stays": ("Il titolare resta", "Un titolare non può essere rimosso né avere un altro ruolo."),
        "already_member": ("Già nel team", "Questa persona lavora già qui."),
        "already_invited": (
            "Già invitata",
            "Hai già invitato questa persona; potrai farlo di nuovo quando l’invito sarà scaduto.",
        ),
    },
)
