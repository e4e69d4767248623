"""Italian texts of conversations."""

from server.words.texts import EventText, NounTexts

TEXTS = NounTexts(
    events={
        "message.posted": EventText(title="Nuovi messaggi", body="{by} ti ha scritto riguardo a {title}."),
    },
    errors={
        "conversation_closed": ("La conversazione è chiusa", "La conversazione si può solo leggere."),
    },
)
