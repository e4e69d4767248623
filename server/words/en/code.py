"""English texts of codes sent to prove an address or a number."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    templates={
        "code.sms": ("Your code", "{code} is your Guildwire code. It is valid for 10 minutes. Do not share it."),
        "code.email": (
            "Your code",
            "{code} is your code. It confirms that this address is yours, and is valid for 10 minutes.",
        ),
        "reset.email": (
            "A new password",
            "{code} is the code for your new password, valid for 10 minutes. If you did not ask for it, ignore it.",
        ),
    },
    emails={
        "why.code": (
            "You get this e-mail because your address was entered. If that was not you, there is nothing to do."
        ),
        "code.title": "Your code",
        "code.lead": "Enter it to confirm that this address is yours.",
        "reset.title": "A new password",
        "reset.lead": "Enter this code, and choose a new password. Until then the old one stays valid.",
    },
    counted={
        "code.holds": {
            "one": "It is valid for {n} minute, and for one use.",
            "other": "It is valid for {n} minutes, and for one use.",
        },
    },
    errors={
        "phone_taken": ("The number is taken", "The number is verified for another account."),
        "code_invalid": ("The code is not valid", "It is wrong or has expired. Request another one."),
        "channel_unavailable": ("Not possible here", "This installation cannot send that ({channel})."),
    },
)
