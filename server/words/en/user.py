"""English texts of users and their accounts."""

from server.words.texts import EventText, NounTexts

TEXTS = NounTexts(
    events={
        "session.opened": EventText(
            title="New sign-in",
            body=(
                "Your account was signed in to on a new device ({device}), on {at} (UTC). If that was "
                "you, there is nothing to do."
            ),
        ),
        "session.revoked": EventText(
            title="Signed out for safety",
            body="A sign-in of yours was used twice, so we ended it. If that was not you, change your password.",
        ),
        "password.changed": EventText(
            title="Password changed",
            body="Your password was changed. If that was not you, reset it at once and tell us.",
        ),
    },
    templates={
        "email.changed": (
            "E-mail address changed",
            "Your account has another e-mail address now. If that was not you, tell us at once.",
        ),
    },
    emails={
        "not_me": "This was not me",
        "not_me.hint": "Signs that device out. Then set a new password.",
        "page.not_me.title": "Was this not you?",
        "page.not_me.lead": "The device that the e-mail was about is signed out. Then set a new password in the app.",
        "page.not_me.button": "Sign it out",
        "page.not_me.done.title": "Signed out",
        "page.not_me.done.lead": (
            "That device is signed out. Now set a new password in the app, since another person may know yours."
        ),
        "page.not_me.used.title": "Signed out already",
        "page.not_me.used.lead": (
            "That device is not signed in any more. If it was not you, set a new password in the app."
        ),
        "why.account": "You get this e-mail because you have an account with {brand}.",
        "why.safety": "You get this e-mail because it concerns the safety of your account.",
    },
    errors={
        "account_disabled": ("The account is disabled", "Write to the operator if you think that this is a mistake."),
        "email_taken": ("The address is taken", "The e-mail address belongs to an account already."),
    },
)
