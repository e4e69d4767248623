"""Italian."""

from collections.abc import Mapping

KINDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "greeting": {
        "customer": ("Salve!", "Salve, grazie per il messaggio.", "Buongiorno, piacere di sentirla."),
        "provider": (
            "Salve! Come posso aiutarla?",
            "Salve, grazie per il messaggio.",
            "Buongiorno, piacere di sentirla.",
        ),
        "any": ("Salve!", "Buongiorno, come va?", "Piacere di sentirla."),
    },
    "thanks": {"any": ("Prego!", "È stato un piacere.", "Mi fa piacere.")},
    "time": {
        "customer": ("Sì, l'orario mi va bene.", "Si potrebbe fare un po' più tardi?", "Sono libero tutto il giorno."),
        "provider": ("Sarò lì all'ora concordata.", "Controllo la mia agenda.", "Quale orario preferisce?"),
        "any": ("Controllo la mia agenda.", "Quale orario preferisce?", "Sì, l'orario mi va bene."),
    },
    "arrival": {
        "customer": ("Perfetto, a tra poco!", "Mi avvisi quando è vicino.", "Quanto manca ancora?"),
        "provider": ("Sto arrivando 🚗", "Sarò lì tra pochi minuti.", "A tra poco!"),
        "any": ("Sto arrivando 🚗", "A tra poco!", "Quanto manca ancora?"),
    },
    "price": {
        "customer": ("Per me va bene.", "Può mandarmi i dettagli?", "Si aggiunge altro?"),
        "provider": (
            "Il prezzo è quello della prenotazione.",
            "Gli extra si aggiungono solo con il suo consenso.",
            "Controllo e le faccio sapere.",
        ),
        "any": ("Controllo e le faccio sapere.", "Può mandarmi i dettagli?", "Per me va bene."),
    },
    "place": {
        "customer": (
            "L'indirizzo è nella prenotazione.",
            "Dov'è di preciso?",
            "Lo trovo, grazie.",
        ),
        "provider": ("L'indirizzo è nella prenotazione.", "Controllo e le faccio sapere.", "Le mando i dettagli."),
        "any": ("Le mando l'indirizzo.", "Dov'è di preciso?", "Lo trovo, grazie."),
    },
    "late": {
        "customer": (
            "Nessun problema, faccia con calma.",
            "Di quanto sarà il ritardo?",
            "Anch'io sarò un po' in ritardo.",
        ),
        "provider": (
            "Nessun problema, aspetto.",
            "Mi scusi, sarò un po' in ritardo.",
            "La avviso quando sono vicino.",
        ),
        "any": (
            "Nessun problema, faccia con calma.",
            "Di quanto sarà il ritardo?",
            "Mi scusi, sarò un po' in ritardo.",
        ),
    },
    "cancel": {
        "customer": ("Possiamo spostare a un altro giorno?", "Mi dispiace.", "Che ne è del mio pagamento?"),
        "provider": ("Mi dispiace.", "Vogliamo trovare un altro orario?", "Può annullare nella prenotazione."),
        "any": ("Mi dispiace.", "Vogliamo trovare un altro orario?", "Qual è il motivo?"),
    },
    "problem": {
        "customer": ("Può dare un'altra occhiata, per favore?", "Le mando una foto.", "Che cosa propone?"),
        "provider": ("Mi dispiace per questo.", "Può mandarmi una foto?", "Me ne occupo io."),
        "any": ("Mi dispiace per questo.", "Può dirmi di più?", "Me ne occupo io."),
    },
    "complaint": {
        "customer": ("Mi dispiace.", "Che cosa propone?", "Cerchiamo di chiarire."),
        "provider": ("Mi dispiace.", "Prendo la cosa sul serio.", "Può dirmi che cosa è successo?"),
        "any": ("Mi dispiace.", "Può dirmi che cosa è successo?", "Prendo la cosa sul serio."),
    },
    "question": {
        "customer": ("Sì, va bene.", "No, mi dispiace.", "Controllo e le faccio sapere."),
        "provider": ("Sì, certo.", "Purtroppo no.", "Controllo e le faccio sapere."),
        "any": ("Sì, certo.", "No, mi dispiace.", "Controllo e le faccio sapere."),
    },
    "own": {"any": ("Ha ricevuto il mio messaggio?", "Mi faccia sapere quando può.", "Non c'è fretta.")},
    "nothing": {
        "customer": ("Salve! Ho una domanda.", "È confermato il nostro appuntamento?", "Devo preparare qualcosa?"),
        "provider": (
            "Salve! Come posso aiutarla?",
            "C'è qualcosa che dovrei sapere prima?",
            "Ha domande?",
        ),
        "any": ("Salve!", "Ho una domanda.", "Ha un momento?"),
    },
}
STAGES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "before": {
        "customer": ("A presto!", "Devo preparare qualcosa?", "Sarò puntuale."),
        "provider": ("Non vedo l'ora.", "Sarò puntuale.", "Ha domande?"),
    },
    "now": {
        "customer": ("Come procede?", "Le serve qualcosa da me?", "Quanto tempo ci vorrà ancora?"),
        "provider": ("Procede bene.", "Ho quasi finito.", "Mi serve ancora un po' di tempo."),
    },
    "after": {
        "customer": ("Grazie, ottimo lavoro!", "Mi sembra tutto a posto.", "Ho ancora una domanda."),
        "provider": (
            "Grazie per la fiducia!",
            "È tutto come desiderava?",
            "Una recensione mi farebbe piacere.",
        ),
    },
    "off": {
        "customer": ("Peccato.", "Possiamo trovare un altro orario?", "Prenoterò di nuovo presto."),
        "provider": ("Peccato che non sia andata.", "Vogliamo trovare un altro orario?", "Spero di rivederla."),
    },
}
GENERAL: tuple[str, ...] = (
    "Grazie per avermi avvisato.",
    "Va bene.",
    "Ottimo!",
    "Le faccio sapere a breve.",
    "Un momento, per favore.",
    "D'accordo, grazie.",
)
#: After bad news, instead of the replies of the stage and the general ones: they neither cheer nor promise.
TROUBLE: tuple[str, ...] = (
    "Capisco.",
    "Grazie per avermelo detto.",
    "Controllo e le faccio sapere.",
    "Come possiamo risolvere?",
    "Le faccio sapere a breve.",
    "Un momento, per favore.",
)
