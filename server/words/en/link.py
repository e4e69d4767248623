"""English texts of the pages that links open."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    emails={
        "page.harmless": "Nothing happens until you press the button.",
        "page.expired.title": "This link has expired",
        "page.expired.lead": "Links in letters hold for a while only. In the app you can do what is still possible.",
        "page.broken.title": "This link is incomplete",
        "page.broken.lead": "A part was lost or changed on the way. Please open it from the letter again.",
        "page.busy.title": "Not just now",
        "page.busy.lead": "Nothing has happened. Please try again in a moment.",
    },
)
