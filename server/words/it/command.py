"""Italian texts of commands and their refusals."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    terms={
        "unknown_problem": "non va bene ({problem})",
    },
    errors={
        "rejected": ("Non possibile", "La richiesta è stata rifiutata; non è cambiato nulla."),
        "invalid": ("I dati non vanno bene", "Qualcosa nei dati inseriti non va bene."),
        "malformed": ("La richiesta non si può leggere", "La richiesta non ha la forma necessaria ({reason})."),
        "unauthenticated": ("Effettua l’accesso", "Serve un token di accesso valido ({reason})."),
        "forbidden": ("Non consentito", "Non puoi farlo."),
        "not_found": ("Non trovato", "Non esiste, oppure non puoi vederlo."),
        "limit_reached": ("Troppo in una volta", "Il limite «{limit}» è raggiunto; riprova un po’ più tardi."),
        "conflict": ("Non è più possibile", "La situazione non è quella che il comando presuppone."),
        "wrong_state": ("Non possibile in questo stato", "Lo stato {status} non lo permette."),
        "version_mismatch": (
            "Nel frattempo è cambiato",
            "La versione attuale è {version}; controlla prima di riprovare.",
        ),
        "command_id_reused": (
            "L’ID del comando è già stato usato",
            "Lo stesso ID era già arrivato con un altro comando o con altri contenuti.",
        ),
        "gone_from_agenda": ("Non più in programma", "È stato annullato o è già stato eseguito; non è cambiato nulla."),
        "fault": ("Al momento non possibile", "Qualcosa di necessario non ha funzionato. Riprova."),
        "busy": ("Troppo traffico", "In questo momento le richieste sono troppe; non è cambiato nulla. Riprova."),
        "unavailable": ("Al momento non disponibile", "Il servizio ora non può rispondere. Riprova."),
        "in_flight": (
            "Ancora in corso",
            "Lo stesso comando è ancora in elaborazione. Chiedi di nuovo con lo stesso ID.",
        ),
        "internal": ("Qualcosa è andato storto", "L’errore è nostro. Segnala per favore l’incidente {incident}."),
    },
    problems={
        "missing": "manca",
        "unknown_field": "non è un campo conosciuto",
        "unknown_value": "non è tra i valori conosciuti",
        "wrong_type": "è del tipo sbagliato",
        "bad_format": "non ha il formato giusto",
        "bad_key": "ha una chiave che non va bene",
        "too_long": "è troppo lungo",
        "too_short": "è troppo corto",
        "wrong_length": "ha la lunghezza sbagliata",
        "too_large": "è troppo grande",
        "too_small": "è troppo piccolo",
        "out_of_range": "è fuori dai limiti consentiti",
        "offset_missing": "non ha lo scarto da UTC",
        "offset_not_allowed": "non deve avere uno scarto da UTC",
        "control_character": "contiene un carattere di controllo",
        "blank": "non contiene nulla di visibile",
        "lone_surrogate": "contiene metà di una coppia surrogata",
        "repeated": "è indicato più di una volta",
        "mismatch": "è diverso da quanto detto altrove",
        "not_https": "deve essere un indirizzo https o un percorso di questo server",
        "unknown_command": "non è un comando conosciuto",
    },
)
