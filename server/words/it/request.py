"""Italian texts of HTTP requests."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    errors={
        "misdirected": ("Non questo server", "Il server non risponde per l’host «{host}»."),
        "method_not_allowed": ("Metodo non consentito", "Questo indirizzo accetta solo {allowed}."),
        "not_acceptable": (
            "Non accettabile",
            "Questo indirizzo non risponde in nessuno dei tipi di contenuto richiesti.",
        ),
        "request_timeout": ("La richiesta è durata troppo", "Il contenuto non è arrivato in tempo."),
        "body_too_large": ("Il contenuto è troppo grande", "Qui si accettano al massimo {bytes_max} byte."),
        "unsupported_media_type": ("Tipo di contenuto non supportato", "Invia {header}: {supported}."),
    },
)
