"""Italian texts of users and their accounts."""

from server.words.texts import EventText, NounTexts

TEXTS = NounTexts(
    events={
        "session.opened": EventText(
            title="Nuovo accesso",
            body=(
                "È stato fatto un accesso al tuo account da un nuovo dispositivo ({device}), {at} (UTC). "
                "Se eri tu, non devi fare nulla."
            ),
        ),
        "session.revoked": EventText(
            title="Uscita per sicurezza",
            body="Un tuo accesso è stato usato due volte, perciò lo abbiamo chiuso. Se non eri tu, cambia la password.",
        ),
        "password.changed": EventText(
            title="Password cambiata",
            body="La tua password è stata cambiata. Se non sei stato tu, reimpostala subito e avvisaci.",
        ),
    },
    templates={
        "email.changed": (
            "Indirizzo e-mail cambiato",
            "Il tuo account ha ora un altro indirizzo e-mail. Se non sei stato tu, avvisaci subito.",
        ),
    },
    emails={
        "not_me": "Non ero io",
        "not_me.hint": "Disconnette quel dispositivo. Poi imposta una nuova password.",
        "page.not_me.title": "Non eri tu?",
        "page.not_me.lead": "Il dispositivo dell’e-mail viene disconnesso. Poi imposta una nuova password nell’app.",
        "page.not_me.button": "Disconnetti",
        "page.not_me.done.title": "Disconnesso",
        "page.not_me.done.lead": (
            "Il dispositivo è disconnesso. Ora imposta una nuova password nell’app: qualcuno potrebbe conoscere la tua."
        ),
        "page.not_me.used.title": "Già disconnesso",
        "page.not_me.used.lead": (
            "Il dispositivo non è più connesso. Se non eri tu, imposta una nuova password nell’app."
        ),
        "why.account": "Ricevi questa e-mail perché hai un account presso {brand}.",
        "why.safety": "Ricevi questa e-mail perché riguarda la sicurezza del tuo account.",
    },
    errors={
        "account_disabled": ("L’account è disattivato", "Scrivi al gestore se pensi che sia un errore."),
        "email_taken": ("L’indirizzo è già in uso", "L’indirizzo e-mail appartiene già a un account."),
    },
)
