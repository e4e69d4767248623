"""German texts of users and their accounts."""

from server.words.texts import EventText, NounTexts

TEXTS = NounTexts(
    events={
        "session.opened": EventText(
            title="Neue Anmeldung",
            body="Auf einem neuen Gerät ({device}) hat sich jemand mit Ihrem Konto angemeldet.",
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
