"""Italian texts of users and their accounts."""

from server.words.texts import EventText, NounTexts

TEXTS = NounTexts(
    events={
        "session.opened": EventText(
            title="Nuovo accesso",
            body="È stato fatto un accesso al tuo account da un nuovo dispositivo ({device}).",
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
        "why.account": "Ricevi questa e-mail perché hai un account presso {brand}.",
        "why.safety": "Ricevi questa e-mail perché riguarda la sicurezza del tuo account.",
    },
    errors={
        "account_disabled": ("L’account è disattivato", "Scrivi al gestore se pensi che sia un errore."),
        "email_taken": ("L’indirizzo è già in uso", "L’indirizzo e-mail appartiene già a un account."),
    },
)
