"""English texts of users and their accounts."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    notifications={
        "session.opened": ("New sign-in", "Your account was signed in to on a new device ({device})."),
        "session.revoked": (
            "Signed out for safety",
            "A sign-in of yours was used twice, so we ended it. If that was not you, change your password.",
        ),
        "password.changed": (
            "Password changed",
            "Your password was changed. If that was not you, reset it at once and tell us.",
        ),
        "email.changed": (
            "E-mail address changed",
            "Your account has another e-mail address now. If that was not you, tell us at once.",
        ),
    },
    emails={
        "why.account": "You get this letter because you have an account with {brand}.",
        "why.safety": "You get this letter because it is about the safety of your account.",
    },
    errors={
        "email_taken": ("The address is taken", "The e-mail address belongs to an account already."),
    },
)
