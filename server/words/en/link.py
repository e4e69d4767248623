"""English texts of the pages that links open."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    emails={
        "page.harmless": "Nothing happens until you press the button.",
        "page.expired.title": "This link has expired",
        "page.expired.lead": "Links in e-mails work for a limited time. In the app you can do what is still possible.",
        "page.broken.title": "This link is incomplete",
        "page.broken.lead": "A part of it is missing or was changed. Please open it from the e-mail again.",
        "page.busy.title": "Not just now",
        "page.busy.lead": "Nothing has happened. Please try again in a moment.",
    },
)
