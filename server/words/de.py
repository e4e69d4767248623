"""German."""

from collections.abc import Mapping

MOMENT = "EEEE, d. MMMM, HH:mm 'Uhr'"
SOMEBODY = "Jemand"
#: A digest: its title, what stands before its items, and what behind them if there are more.
DIGEST = (
    "Was Sie verpasst haben",
    "Das ist passiert, und Sie haben es noch nicht gelesen:",
    "Und {count} mehr, in der App.",
)

TEXTS: Mapping[str, tuple[str, str]] = {
    "booking.paid": ("Neue Buchung", "{customer} hat {title} am {starts_at} gebucht. {amount} sind bezahlt."),
    "booking.confirmed": ("Buchung bestätigt", "{title} mit {staff} am {starts_at} ist bestätigt."),
    "booking.declined": ("Buchung abgelehnt", "{staff} kann {title} am {starts_at} nicht übernehmen."),
    "booking.cancelled": ("Buchung storniert", "{by} hat {title} am {starts_at} storniert."),
    "booking.abandoned": (
        "Buchung storniert",
        "Für {title} am {starts_at} fand sich kein anderer Weg. Was bezahlt wurde, geht ganz zurück.",
    ),
    "booking.expired": (
        "Buchung verfallen",
        "{title} am {starts_at} wurde nicht rechtzeitig bezahlt. Die Zeit ist wieder frei.",
    ),
    "booking.revived": ("Buchung wieder da", "Die Zahlung für {title} kam spät, und die Zeit war noch frei."),
    "booking.reminded": ("Beginnt in einer Stunde", "{title} mit {staff} beginnt am {starts_at}."),
    "booking.started": ("Der Auftrag läuft", "{staff} hat mit {title} begonnen."),
    "booking.completed": ("Der Auftrag ist fertig", "{staff} hat {title} beendet. Bitte bestätigen, dass alles passt."),
    "booking.released": ("Geld freigegeben", "{amount} für {title} sind freigegeben."),
    "booking.refunded": ("Erstattung", "{amount} für {title} sind wieder im Guthaben."),
    "payment.unplaced": (
        "Zahlung geht zurück",
        "{amount} kamen für eine Buchung, die es nicht mehr gibt. Sie gehen an ihre Quelle zurück.",
    ),
    "payment.returned": ("Zahlung zurückgesandt", "{amount} für {title} gingen dorthin zurück, woher sie kamen."),
    "message.posted": ("Neue Nachrichten", "{by} hat zu {title} geschrieben."),
    "session.opened": (
        "Neue Anmeldung",
        "Auf einem neuen Gerät ({device}) hat sich jemand mit Ihrem Konto angemeldet.",
    ),
    "session.revoked": (
        "Zur Sicherheit abgemeldet",
        "Eine Ihrer Anmeldungen wurde zweimal verwendet und darum beendet. Waren Sie das nicht, ändern Sie bitte Ihr"
        " Passwort.",
    ),
    # What it says is its sender's; these words stand where that was erased.
    "notification.sent": ("Eine Nachricht für Sie", ""),
    "password.changed": (
        "Passwort geändert",
        "Ihr Passwort wurde geändert. Waren Sie das nicht, setzen Sie es sofort zurück und melden Sie sich bei uns.",
    ),
    "code.sms": (
        "Ihr Code",
        "{code} ist Ihr Guildwire-Code. Er gilt 10 Minuten. Geben Sie ihn niemandem weiter.",
    ),
    "code.email": ("Ihr Code", "{code} ist Ihr Code. Er zeigt, dass diese Adresse Ihre ist, und gilt 10 Minuten."),
    "reset.email": (
        "Ein neues Passwort",
        "{code} ist der Code für Ihr neues Passwort. Er gilt 10 Minuten. Haben Sie ihn nicht verlangt, ist nichts zu"
        " tun.",
    ),
    "email.changed": (
        "E-Mail-Adresse geändert",
        "Ihr Konto hat jetzt eine andere E-Mail-Adresse. Waren Sie das nicht, melden Sie sich sofort bei uns.",
    ),
}
