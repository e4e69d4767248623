"""Italian texts of bookings."""

from server.words.texts import EventText, NounTexts

TEXTS = NounTexts(
    events={
        "booking.created": EventText(
            timeline="{customer} ha prenotato {title} con {staff} per {starts_at}, a {total}.",
        ),
        "booking.paid": EventText(
            title="Nuova prenotazione",
            body="{customer} ha prenotato {title}, {starts_at}. Pagato: {amount}.",
            timeline="{amount}: importo pagato e custodito fino alla fine del lavoro.",
        ),
        "booking.approved": EventText(timeline="{by} ha accettato il lavoro."),
        "booking.confirmed": EventText(
            title="Prenotazione confermata",
            body="{title} con {staff}, {starts_at}: è confermata.",
            timeline="La prenotazione è confermata.",
        ),
        "booking.declined": EventText(
            title="Prenotazione rifiutata",
            body="{staff} non può occuparsi di {title}, {starts_at}.",
            timeline="{by} ha rifiutato il lavoro: {reason}.",
        ),
        "booking.declined:NO_ANSWER": EventText(
            timeline="Nessuno ha risposto in tempo, perciò il lavoro è tornato indietro.",
        ),
        "booking.staff_left": EventText(
            title="Un membro del personale è andato via",
            body="{staff} ha lasciato l’attività. Si occupi di {title}, {starts_at}.",
            timeline="{staff} ha lasciato l’attività.",
        ),
        "booking.cancelled": EventText(
            title="Prenotazione annullata",
            body="{by} ha annullato {title}, {starts_at}.",
            timeline="{by} ha annullato la prenotazione.",
        ),
        "booking.abandoned": EventText(
            title="Prenotazione annullata",
            body="Per {title}, {starts_at}, non si è trovata un’altra soluzione. L’importo pagato torna per intero.",
            timeline="Prima dell’inizio non si è trovata un’altra soluzione, perciò la prenotazione è stata annullata.",
        ),
        "booking.expired": EventText(
            title="Prenotazione scaduta",
            body="{title}, {starts_at}, non è stata pagata in tempo. L’orario è di nuovo libero.",
            timeline="Nessuno ha pagato in tempo, perciò la prenotazione è scaduta.",
        ),
        "booking.revived": EventText(
            title="Prenotazione ripristinata",
            body="Il pagamento per {title} è arrivato tardi, ma l’orario era ancora libero.",
            timeline="Il pagamento è arrivato tardi, ma l’orario era ancora libero: la prenotazione vale di nuovo.",
        ),
        "booking.started": EventText(
            title="Il lavoro è iniziato",
            body="{staff} ha iniziato {title}.",
            timeline="Il lavoro è iniziato.",
        ),
        "booking.completed": EventText(
            title="Il lavoro è finito",
            body="{staff} ha finito {title}. Conferma per favore che tutto va bene.",
            timeline="Il lavoro è finito. Il denaro sarà sbloccato al più tardi {release_at}.",
        ),
        "booking.completed:time": EventText(
            timeline=(
                "Nessuno ha concluso il lavoro, perciò vale come finito. Il denaro sarà sbloccato al più tardi "
                "{release_at}."
            ),
        ),
        "booking.start_overdue": EventText(
            title="Il lavoro è iniziato?",
            body="{title}, {starts_at}, non è stato iniziato. L’appuntamento ha avuto luogo?",
            timeline="Il lavoro non è stato iniziato. Senza inizio entro {no_show_at} vale come mancata presenza.",
        ),
        "booking.no_show": EventText(
            title="Non è venuto nessuno",
            body="{staff} non ha iniziato {title}, {starts_at}. L’importo pagato torna per intero.",
            timeline="{staff} non ha iniziato il lavoro: vale come mancata presenza.",
        ),
        "booking.end_overdue": EventText(
            title="Un lavoro è ancora in corso",
            body="{title} con {staff}, {starts_at}, ha superato di molto la fine prevista. Concludilo, per favore.",
            timeline="Il lavoro ha superato di molto la fine prevista. Sarà concluso al più tardi {complete_at}.",
        ),
        "booking.released": EventText(title="Denaro sbloccato", body="{amount} per {title}: importo sbloccato."),
        "booking.released:customer": EventText(
            timeline="{customer} ha confermato che va tutto bene. Importo sbloccato: {amount}.",
        ),
        "booking.released:time": EventText(
            timeline="Nessuno ha fatto obiezioni in tempo. Importo sbloccato: {amount}.",
        ),
        "booking.refunded": EventText(
            title="Rimborso",
            body="{amount} per {title}: di nuovo nel tuo portafoglio.",
            timeline="{amount}: importo tornato nel portafoglio di {customer}.",
        ),
        "booking.reminded": EventText(
            title="Inizia entro un’ora",
            body="{title} con {staff} inizia {starts_at}.",
            timeline="{customer} ha ricevuto il promemoria dell’inizio: {starts_at}.",
        ),
    },
    terms={
        "someone_erased": "Qualcuno (account eliminato)",
        "server": "Il server",
        "unknown_event": "È successo qualcosa ({type}).",
        "decline.SCHEDULE_CONFLICT": "un altro appuntamento",
        "decline.TOO_FAR": "troppo lontano",
        "decline.UNWELL": "malattia",
        "decline.SAFETY": "sicurezza",
        "decline.SKILL_MISMATCH": "competenze non adatte",
        "decline.EQUIPMENT": "manca l’attrezzatura",
        "decline.OTHER": "altri motivi",
        "decline.NO_ANSWER": "nessuna risposta",
    },
    emails={
        "service": "Servizio",
        "with": "Con",
        "business": "Azienda",
        "when": "Quando",
        "where": "Dove",
        "price": "Prezzo",
        "number": "Prenotazione",
        "cancel": "Annulla la prenotazione",
        "cancel.hint": (
            "Un imprevisto? Il pulsante mostra che cosa succede prima che succeda qualcosa. Vale fino all’inizio."
        ),
        "confirm": "Sì, tutto bene",
        "confirm.hint": "Allora il denaro va a {business}. Se non sappiamo nulla, ci va {release_at}.",
        "why.booking": "Ricevi questa e-mail perché partecipi alla prenotazione {number}.",
        "page.cancel.title": "Annullare questa prenotazione?",
        "page.cancel.lead": "L’importo pagato va nel tuo portafoglio.",
        "page.cancel.button": "Annulla la prenotazione",
        "page.cancel.done.title": "Annullata",
        "page.cancel.done.lead": (
            "La prenotazione è annullata. L’importo pagato è nel tuo portafoglio. Può pagare un’altra prenotazione."
        ),
        "page.cancel.used.title": "Già annullata",
        "page.cancel.used.lead": "Questa prenotazione era già stata annullata. Non c’è altro da fare.",
        "page.cancel.late.title": "Troppo tardi per annullare",
        "page.cancel.late.lead": "La prenotazione è iniziata, è finita o si è chiusa in altro modo.",
        "page.confirm.title": "Va tutto bene?",
        "page.confirm.lead": "Il denaro va poi a {business}. Non si può tornare indietro.",
        "page.confirm.button": "Sì, tutto bene",
        "page.confirm.done.title": "Grazie!",
        "page.confirm.done.lead": "Il denaro va a {business}.",
        "page.confirm.used.title": "Già confermata",
        "page.confirm.used.lead": "Il denaro è già andato a {business}. Non c’è altro da fare.",
        "page.confirm.late.title": "Nulla da confermare",
        "page.confirm.late.lead": "La prenotazione non è in uno stato in cui si possa confermare.",
    },
    errors={
        "slot_taken": ("L’orario è occupato", "Qualcun altro ha appena prenotato questo orario."),
        "own_booking": (
            "Questo orario è già tuo",
            "La tua prenotazione {number} a quell’ora attende il pagamento.",
        ),
        "terms_changed": ("Le condizioni sono cambiate", "Prezzo o orario sono diversi da quelli mostrati."),
        "no_staff_free": ("Nessuno è libero", "A quell’ora nessuno di chi offre il servizio è libero."),
        "slot_unavailable": ("L’orario non si può prenotare", "Questo orario non si può prenotare ({reason})."),
        "pair_blocked": ("Non disponibile", "Tra voi due non è più possibile prenotare."),
        "too_early": ("Troppo presto", "Questo passo non è ancora possibile."),
    },
)
