"""German texts of users and their accounts."""

from server.words.texts import EventText, NounTexts

TEXTS = NounTexts(
    events={
        "session.opened": EventText(
            title="Neue Anmeldung",
            body=(
                "Auf einem neuen Gerät ({device}) hat sich jemand mit Ihrem Konto angemeldet: {at} (UTC). "
                "Waren Sie das, ist nichts zu tun."
            ),
        ),
        "session.revoked": EventText(
            title="Zur Sicherheit abgemeldet",
            body=(
                "Eine Ihrer Anmeldungen wurde zweimal verwendet und darum beendet. Waren Sie das nicht, ändern Sie "
                "bitte Ihr Passwort."
            ),
        ),
        "password.changed": EventText(
            title="Passwort geändert",
            body=(
                "Ihr Passwort wurde geändert. Waren Sie das nicht, setzen Sie es sofort zurück und melden Sie sich bei "
                "uns."
            ),
        ),
    },
    templates={
        "email.changed": (
            "E-Mail-Adresse geändert",
            "Ihr Konto hat jetzt eine andere E-Mail-Adresse. Waren Sie das nicht, melden Sie sich sofort bei uns.",
        ),
    },
    emails={
        "not_me": "Das war ich nicht",
        "not_me.hint": "Meldet das Gerät ab. Setzen Sie danach ein neues Passwort.",
        "page.not_me.title": "Waren Sie das nicht?",
        "page.not_me.lead": (
            "Das Gerät aus der E-Mail wird abgemeldet. Setzen Sie danach in der App ein neues Passwort."
        ),
        "page.not_me.button": "Abmelden",
        "page.not_me.done.title": "Abgemeldet",
        "page.not_me.done.lead": (
            "Das Gerät ist abgemeldet. Setzen Sie jetzt in der App ein neues Passwort: Vielleicht kennt jemand Ihres."
        ),
        "page.not_me.used.title": "Schon abgemeldet",
        "page.not_me.used.lead": (
            "Das Gerät ist nicht mehr angemeldet. Waren Sie es nicht, setzen Sie in der App ein neues Passwort."
        ),
        "why.account": "Sie erhalten diese E-Mail, weil Sie ein Konto bei {brand} haben.",
        "why.safety": "Sie erhalten diese E-Mail, weil es um die Sicherheit Ihres Kontos geht.",
    },
    errors={
        "account_disabled": (
            "Das Konto ist gesperrt",
            "Schreiben Sie dem Betreiber, wenn Sie das für einen Fehler halten.",
        ),
        "email_taken": ("Die Adresse ist vergeben", "Die E-Mail-Adresse gehört bereits zu einem Konto."),
    },
)
