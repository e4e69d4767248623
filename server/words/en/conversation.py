"""English texts of conversations."""

from server.words.texts import EventText, NounTexts

TEXTS = NounTexts(
    events={
        "message.posted": EventText(title="New messages", body="{by} wrote to you about {title}."),
    },
    errors={
        "conversation_closed": ("The conversation is closed", "The conversation can only be read."),
    },
)
