"""Italian texts of the pages that links open."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    emails={
        "page.harmless": "Finché non premi il pulsante non succede nulla.",
        "page.expired.title": "Questo link è scaduto",
        "page.expired.lead": (
            "I link nelle e-mail valgono solo per un po’. Nell’app puoi fare ciò che è ancora possibile."
        ),
        "page.broken.title": "Questo link è incompleto",
        "page.broken.lead": "Una parte si è persa o è cambiata per strada. Aprilo di nuovo dall’e-mail, per favore.",
        "page.busy.title": "Non proprio adesso",
        "page.busy.lead": "Non è successo nulla. Riprova tra un momento, per favore.",
    },
)
