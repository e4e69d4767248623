"""English texts of notifications and digests."""

from server.words.texts import EventText, NounTexts

TEXTS = NounTexts(
    events={
        # The sender writes title and body; this title is shown after the notice was erased.
        "notification.sent": EventText(title="A message for you", body=""),
    },
    emails={
        "hello": "Hello {name},",
        "hello.unnamed": "Hello,",
        "unsubscribe": "No more e-mails of this kind",
        "page.unsubscribe.title": "No more e-mails of this kind?",
        "page.unsubscribe.lead": "“{kind}” will not come by e-mail any more. In the app you still find it.",
        "page.unsubscribe.button": "Switch off",
        "page.unsubscribe.done.title": "Switched off",
        "page.unsubscribe.done.lead": (
            "“{kind}” does not come by e-mail any more. In the app you can switch it on again."
        ),
        "digest.title": "What you have missed",
        "digest.opening": "This has happened, and you have not read it yet:",
        "digest.more": "And {count} more, in the app.",
    },
    counted={
        "digest.subject": {
            "one": "{n} piece of news for you",
            "other": "{n} pieces of news for you",
        },
    },
)
