"""German texts of conversations."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    notifications={
        "message.posted": ("Neue Nachrichten", "{by} hat zu {title} geschrieben."),
    },
    errors={
        "conversation_closed": ("Die Unterhaltung ist geschlossen", "Die Unterhaltung kann nur noch gelesen werden."),
    },
)
