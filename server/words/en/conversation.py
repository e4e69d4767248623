"""English texts of conversations."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    notifications={
        "message.posted": ("New messages", "{by} wrote to you about {title}."),
    },
    errors={
        "conversation_closed": ("The conversation is closed", "The conversation can only be read."),
    },
)
