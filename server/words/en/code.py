"""English texts of codes sent to prove an address or a number."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    notifications={
        "code.sms": ("Your code", "{code} is your Guildwire code. It holds for 10 minutes. Tell it to nobody."),
        "code.email": (
            "Your code",
            "{code} is your code. It shows that this address is yours, and holds for 10 minutes.",
        ),
        "reset.email": (
            "A new password",
            (
                "{code} is the code for your new password. It holds for 10 minutes. If you did not ask for it, "
                "do nothing."
            ),
        ),
    },
    emails={
        "why.code": (
            "You get this letter because somebody entered your address. If that was not you, there is nothing to do."
        ),
        "code.title": "Your code",
        "code.lead": "Enter it to confirm that this address is yours.",
        "reset.title": "A new password",
        "reset.lead": "Enter this code, and choose a new password. Until then the old one holds.",
    },
    counted={
        "code.holds": {
            "one": "It holds for {n} minute, and for one use.",
            "other": "It holds for {n} minutes, and for one use.",
        },
    },
    errors={
        "phone_taken": ("The number is taken", "Somebody else has shown that the number is theirs."),
        "code_invalid": ("The code does not hold", "It is not the code, or it holds no longer. Ask for another."),
        "channel_unavailable": ("Not possible here", "This installation cannot send that ({channel})."),
    },
)
