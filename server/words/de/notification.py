"""German texts of notifications and digests."""

from server.words.texts import EventText, NounTexts

TEXTS = NounTexts(
    events={
        # The sender writes title and body; this title is shown after the notice was erased.
        "notification.sent": EventText(title="Eine Nachricht für Sie", body=""),
    },
    emails={
        "hello": "Guten Tag {name},",
        "hello.unnamed": "Guten Tag,",
        "unsubscribe": "Keine solchen E-Mails mehr",
        "page.unsubscribe.title": "Keine solchen E-Mails mehr?",
        "page.unsubscribe.lead": "„{kind}“ kommt dann nicht mehr per E-Mail. In der App finden Sie es weiterhin.",
        "page.unsubscribe.button": "Abbestellen",
        "page.unsubscribe.done.title": "Abbestellt",
        "page.unsubscribe.done.lead": (
            "„{kind}“ kommt nicht mehr per E-Mail. In der App lässt es sich wieder einschalten."
        ),
        "digest.title": "Was Sie verpasst haben",
        "digest.opening": "Das ist passiert, und Sie haben es noch nicht gelesen:",
        "digest.more": "Und {count} mehr, in der App.",
    },
    counted={
        "digest.subject": {
            "one": "{n} Neuigkeit für Sie",
            "other": "{n} Neuigkeiten für Sie",
        },
    },
)
