"""Italian texts of conversations."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    notifications={
        "message.posted": ("Nuovi messaggi", "{by} ti ha scritto riguardo a {title}."),
    },
    errors={
        "conversation_closed": ("La conversazione è chiusa", "La conversazione si può solo leggere."),
    },
)
