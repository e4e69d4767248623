"""German texts of conversations."""

from server.words.texts import EventText, NounTexts

TEXTS = NounTexts(
    events={
        "message.posted": EventText(title="Neue Nachrichten", body="{by} hat zu {title} geschrieben."),
    },
    errors={
        "conversation_closed": ("Die Unterhaltung ist geschlossen", "Die Unterhaltung kann nur noch gelesen werden."),
    },
)
