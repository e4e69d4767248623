"""German texts of codes sent to prove an address or a number."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    templates={
        "code.sms": ("Ihr Code", "{code} ist Ihr Guildwire-Code. Er gilt 10 Minuten. Geben Sie ihn niemandem weiter."),
        "code.email": ("Ihr Code", "{code} ist Ihr Code. Er zeigt, dass diese Adresse Ihre ist, und gilt 10 Minuten."),
        "reset.email": (
            "Ein neues Passwort",
            (
                "{code} ist der Code für Ihr neues Passwort. Er gilt 10 Minuten. Haben Sie ihn nicht verlangt, ist "
                "nichts zu tun."
            ),
        ),
    },
    emails={
        "why.code": (
            "Sie erhalten diese E-Mail, weil jemand Ihre Adresse eingegeben hat. Waren Sie das nicht, ist "
            "nichts zu tun."
        ),
        "code.title": "Ihr Code",
        "code.lead": "Geben Sie ihn ein, um zu bestätigen, dass diese Adresse Ihnen gehört.",
        "reset.title": "Neues Passwort",
        "reset.lead": "Geben Sie diesen Code ein und wählen Sie ein neues Passwort. Bis dahin gilt das alte.",
    },
    counted={
        "code.holds": {
            "one": "Er gilt {n} Minute lang und nur einmal.",
            "other": "Er gilt {n} Minuten lang und nur einmal.",
        },
    },
    errors={
        "code_invalid": (
            "Der Code gilt nicht",
            "Das ist nicht der Code, oder er gilt nicht mehr. Bitte fordern Sie einen neuen an.",
        ),
        "phone_taken": ("Die Nummer ist vergeben", "Jemand anderes hat gezeigt, dass die Nummer ihm gehört."),
        "channel_unavailable": ("Hier nicht möglich", "Diese Installation kann das nicht senden ({channel})."),
    },
)
