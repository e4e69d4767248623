"""Italian."""

from collections.abc import Mapping

MOMENT = "EEEE d MMMM, 'ore' HH:mm"
SOMEBODY = "Qualcuno"
#: A digest: its title, what stands before its items, and what behind them if there are more.
DIGEST = (
    "Che cosa ti sei perso",
    "È successo questo, e non l’hai ancora letto:",
    "E altre {count}, nell’app.",
)

TEXTS: Mapping[str, tuple[str, str]] = {
    "booking.paid": ("Nuova prenotazione", "{customer} ha prenotato {title}, {starts_at}. Pagato: {amount}."),
    "booking.confirmed": ("Prenotazione confermata", "{title} con {staff}, {starts_at}: è confermata."),
    "booking.declined": ("Prenotazione rifiutata", "{staff} non può occuparsi di {title}, {starts_at}."),
    "booking.cancelled": ("Prenotazione annullata", "{by} ha annullato {title}, {starts_at}."),
    "booking.abandoned": (
        "Prenotazione annullata",
        "Per {title}, {starts_at}, non si è trovata un’altra soluzione. L’importo pagato torna per intero.",
    ),
    "booking.expired": (
        "Prenotazione scaduta",
        "{title}, {starts_at}, non è stata pagata in tempo. L’orario è di nuovo libero.",
    ),
    "booking.revived": (
        "Prenotazione ripristinata",
        "Il pagamento per {title} è arrivato tardi, ma l’orario era ancora libero.",
    ),
    "booking.reminded": ("Inizia entro un’ora", "{title} con {staff} inizia {starts_at}."),
    "booking.started": ("Il lavoro è iniziato", "{staff} ha iniziato {title}."),
    "booking.completed": ("Il lavoro è finito", "{staff} ha finito {title}. Conferma per favore che tutto va bene."),
    "booking.released": ("Denaro sbloccato", "{amount} per {title}: importo sbloccato."),
    "booking.refunded": ("Rimborso", "{amount} per {title}: di nuovo nel tuo portafoglio."),
    "payment.unplaced": (
        "Il pagamento torna indietro",
        "{amount}: la prenotazione non c’è più, l’importo torna da dove è venuto.",
    ),
    "payment.returned": ("Pagamento restituito", "{amount} per {title}: restituito da dove è venuto."),
    "message.posted": ("Nuovi messaggi", "{by} ti ha scritto riguardo a {title}."),
    "session.opened": ("Nuovo accesso", "È stato fatto un accesso al tuo account da un nuovo dispositivo ({device})."),
    "session.revoked": (
        "Uscita per sicurezza",
        "Un tuo accesso è stato usato due volte, perciò lo abbiamo chiuso. Se non eri tu, cambia la password.",
    ),
    # What it says is its sender's; these words stand where that was erased.
    "notification.sent": ("Un messaggio per te", ""),
    "password.changed": (
        "Password cambiata",
        "La tua password è stata cambiata. Se non sei stato tu, reimpostala subito e avvisaci.",
    ),
    "code.sms": ("Il tuo codice", "{code} è il tuo codice Guildwire. Vale 10 minuti. Non darlo a nessuno."),
    "code.email": (
        "Il tuo codice",
        "{code} è il tuo codice. Mostra che questo indirizzo è tuo e vale 10 minuti.",
    ),
    "reset.email": (
        "Una nuova password",
        "{code} è il codice per la tua nuova password. Vale 10 minuti. Se non l’hai chiesto, non fare nulla.",
    ),
    "email.changed": (
        "Indirizzo e-mail cambiato",
        "Il tuo account ha ora un altro indirizzo e-mail. Se non sei stato tu, avvisaci subito.",
    ),
}
