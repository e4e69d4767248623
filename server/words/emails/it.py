"""Italian."""

from collections.abc import Mapping

CODE = "it"
DAY = "EEEE d MMMM yyyy"
TIME = "HH:mm"

TEXTS: Mapping[str, str] = {
    # Letters
    "hello": "Ciao {name},",
    "hello.nobody": "Ciao,",
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
    "why.account": "Ricevi questa e-mail perché hai un account presso {brand}.",
    "why.safety": "Ricevi questa e-mail perché riguarda la sicurezza del tuo account.",
    "why.code": (
        "Ricevi questa e-mail perché qualcuno ha inserito il tuo indirizzo. Se non eri tu, non devi fare nulla."
    ),
    "unsubscribe": "Basta e-mail di questo tipo",
    "code.title": "Il tuo codice",
    "code.lead": "Inseriscilo per confermare che questo indirizzo è tuo.",
    "reset.title": "Nuova password",
    "reset.lead": "Inserisci questo codice e scegli una nuova password. Fino ad allora vale quella vecchia.",
    # Pages
    "page.harmless": "Finché non premi il pulsante non succede nulla.",
    "page.cancel.title": "Annullare questa prenotazione?",
    "page.cancel.lead": "L’importo pagato va nel tuo portafoglio.",
    "page.cancel.button": "Annulla la prenotazione",
    "page.cancel.done.title": "Annullata",
    "page.cancel.done.lead": "La prenotazione è annullata. L’importo pagato è nel tuo portafoglio.",
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
    "page.unsubscribe.title": "Basta e-mail di questo tipo?",
    "page.unsubscribe.lead": "«{kind}» non arriverà più per e-mail. Nell’app lo trovi ancora.",
    "page.unsubscribe.button": "Disattiva",
    "page.unsubscribe.done.title": "Disattivate",
    "page.unsubscribe.done.lead": "«{kind}» non arriva più per e-mail. Nell’app puoi riattivarlo.",
    "page.expired.title": "Questo link è scaduto",
    "page.expired.lead": "I link nelle e-mail valgono solo per un po’. Nell’app puoi fare ciò che è ancora possibile.",
    "page.broken.title": "Questo link è incompleto",
    "page.broken.lead": "Una parte si è persa o è cambiata per strada. Aprilo di nuovo dall’e-mail, per favore.",
    "page.busy.title": "Non proprio adesso",
    "page.busy.lead": "Non è successo nulla. Riprova tra un momento, per favore.",
}
COUNTED: Mapping[str, Mapping[str, str]] = {
    "digest.subject": {"one": "{n} novità per te", "other": "{n} novità per te"},
    "code.holds": {
        "one": "Vale {n} minuto e una volta sola.",
        "other": "Vale {n} minuti e una volta sola.",
    },
}
