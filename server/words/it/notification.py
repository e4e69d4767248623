"""Italian texts of notifications and digests."""

from server.words.texts import EventText, NounTexts

TEXTS = NounTexts(
    events={
        # The sender writes title and body; this title is shown after the notice was erased.
        "notification.sent": EventText(title="Un messaggio per te", body=""),
    },
    emails={
        "hello": "Ciao {name},",
        "hello.unnamed": "Ciao,",
        "unsubscribe": "Basta e-mail di questo tipo",
        "page.unsubscribe.title": "Basta e-mail di questo tipo?",
        "page.unsubscribe.lead": "«{kind}» non arriverà più per e-mail. Nell’app lo trovi ancora.",
        "page.unsubscribe.button": "Disattiva",
        "page.unsubscribe.done.title": "Disattivate",
        "page.unsubscribe.done.lead": "«{kind}» non arriva più per e-mail. Nell’app puoi riattivarlo.",
        "digest.title": "Che cosa ti sei perso",
        "digest.opening": "È successo questo, e non l’hai ancora letto:",
        "digest.more": "E altre {count}, nell’app.",
    },
    counted={
        "digest.subject": {
            "one": "{n} novità per te",
            "other": "{n} novità per te",
        },
    },
)
