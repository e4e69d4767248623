"""Italian texts of codes sent to prove an address or a number."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    templates={
        "code.sms": ("Il tuo codice", "{code} è il tuo codice Guildwire. Vale 10 minuti. Non darlo a nessuno."),
        "code.email": ("Il tuo codice", "{code} è il tuo codice. Mostra che questo indirizzo è tuo e vale 10 minuti."),
        "reset.email": (
            "Una nuova password",
            "{code} è il codice per la tua nuova password. Vale 10 minuti. Se non l’hai chiesto, non fare nulla.",
        ),
    },
    emails={
        "why.code": (
            "Ricevi questa e-mail perché qualcuno ha inserito il tuo indirizzo. Se non eri tu, non devi fare nulla."
        ),
        "code.title": "Il tuo codice",
        "code.lead": "Inseriscilo per confermare che questo indirizzo è tuo.",
        "reset.title": "Nuova password",
        "reset.lead": "Inserisci questo codice e scegli una nuova password. Fino ad allora vale quella vecchia.",
    },
    counted={
        "code.holds": {
            "one": "Vale {n} minuto e una volta sola.",
            "other": "Vale {n} minuti e una volta sola.",
        },
    },
    errors={
        "code_invalid": ("Il codice non vale", "Il codice è sbagliato o non vale più. Richiedine un altro."),
        "phone_taken": ("Il numero è già in uso", "Qualcun altro ha dimostrato che il numero è suo."),
        "channel_unavailable": ("Qui non è possibile", "Questa installazione non può inviarlo ({channel})."),
    },
)
