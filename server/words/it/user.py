"""Italian texts of users and their accounts."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    notifications={
        "session.opened": (
            "Nuovo accesso",
            "È stato fatto un accesso al tuo account da un nuovo dispositivo ({device}).",
        ),
        "session.revoked": (
            "Uscita per sicurezza",
            ("Un tuo accesso è stato usato due volte, perciò lo abbiamo chiuso. Se non eri tu, cambia la password."),
        ),
        "password.changed": (
            "Password cambiata",
            "La tua password è stata cambiata. Se non sei stato tu, reimpostala subito e avvisaci.",
        ),
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
        "email_taken": ("L’indirizzo è già in uso", "L’indirizzo e-mail appartiene già a un account."),
    },
)
