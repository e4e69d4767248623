"""German texts of the pages that links open."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    emails={
        "page.harmless": "Bevor Sie auf den Knopf drücken, geschieht nichts.",
        "page.expired.title": "Dieser Link ist abgelaufen",
        "page.expired.lead": "Links in E-Mails gelten nur eine Zeit lang. In der App geht, was noch möglich ist.",
        "page.broken.title": "Dieser Link ist unvollständig",
        "page.broken.lead": (
            "Ein Teil ging unterwegs verloren oder wurde verändert. Bitte öffnen Sie ihn noch einmal aus der E-Mail."
        ),
        "page.busy.title": "Gerade nicht",
        "page.busy.lead": "Es ist nichts geschehen. Bitte versuchen Sie es gleich noch einmal.",
    },
)
