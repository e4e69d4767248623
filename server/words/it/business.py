"""Italian texts of businesses."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    errors={
        "owner_stays": ("Il titolare resta", "Un titolare non può essere rimosso né avere un altro ruolo."),
        "already_member": ("Già nel team", "Questa persona lavora già qui."),
    },
)
