"""German texts of commands and their refusals."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    terms={
        "unknown_problem": "passt nicht ({problem})",
    },
    errors={
        "rejected": ("Nicht möglich", "Das wurde abgelehnt; es hat sich nichts geändert."),
        "invalid": ("Die Eingabe passt nicht", "Etwas in der Eingabe passt nicht."),
        "malformed": ("Die Anfrage ist nicht lesbar", "Die Anfrage hat nicht die nötige Form ({reason})."),
        "unauthenticated": ("Bitte melden Sie sich an", "Dafür ist ein gültiges Zugangstoken nötig ({reason})."),
        "forbidden": ("Nicht erlaubt", "Das dürfen Sie nicht."),
        "not_found": ("Nicht gefunden", "Das gibt es nicht, oder Sie dürfen es nicht sehen."),
        "limit_reached": (
            "Zu viel auf einmal",
            "Die Grenze „{limit}“ ist erreicht; versuchen Sie es bitte etwas später noch einmal.",
        ),
        "conflict": ("Das passt nicht mehr", "Die Lage ist nicht so, wie der Befehl sie voraussetzt."),
        "wrong_state": ("In diesem Zustand nicht möglich", "Der Status {status} lässt das nicht zu."),
        "version_mismatch": (
            "Inzwischen geändert",
            "Die aktuelle Version ist {version}; bitte sehen Sie zuerst noch einmal nach.",
        ),
        "command_id_reused": (
            "Die Befehls-ID wurde schon verwendet",
            "Dieselbe ID kam schon mit einem anderen Befehl oder anderem Inhalt.",
        ),
        "gone_from_agenda": (
            "Nicht mehr fällig",
            "Es wurde abgesagt oder ist schon erledigt; es hat sich nichts geändert.",
        ),
        "fault": (
            "Gerade nicht möglich",
            "Etwas, das dafür nötig ist, ist ausgefallen. Bitte versuchen Sie es noch einmal.",
        ),
        "busy": (
            "Sehr viel los",
            (
                "Gerade ist mehr zu tun, als möglich ist; es hat sich nichts geändert. Bitte versuchen Sie es "
                "noch einmal."
            ),
        ),
        "unavailable": (
            "Gerade nicht verfügbar",
            "Der Dienst kann gerade nicht antworten. Bitte versuchen Sie es noch einmal.",
        ),
        "in_flight": (
            "Noch in Arbeit",
            "Über denselben Befehl wird noch entschieden. Bitte fragen Sie mit derselben ID noch einmal.",
        ),
        "internal": ("Etwas ist schiefgegangen", "Der Fehler liegt bei uns. Bitte melden Sie den Vorfall {incident}."),
    },
    problems={
        "missing": "fehlt",
        "unknown_field": "ist kein bekanntes Feld",
        "unknown_value": "ist keiner der bekannten Werte",
        "wrong_type": "hat den falschen Typ",
        "bad_format": "hat nicht das richtige Format",
        "bad_key": "hat einen Schlüssel, der nicht passt",
        "too_long": "ist zu lang",
        "too_short": "ist zu kurz",
        "wrong_length": "hat die falsche Länge",
        "too_large": "ist zu groß",
        "too_small": "ist zu klein",
        "out_of_range": "liegt außerhalb des erlaubten Bereichs",
        "offset_missing": "hat keinen Abstand zu UTC",
        "offset_not_allowed": "darf keinen Abstand zu UTC haben",
        "control_character": "enthält ein Steuerzeichen",
        "blank": "enthält nichts Sichtbares",
        "lone_surrogate": "enthält ein halbes Surrogatpaar",
        "repeated": "ist mehr als einmal angegeben",
        "mismatch": "weicht von dem ab, was an anderer Stelle steht",
        "not_https": "muss eine https-Adresse sein oder ein Pfad dieses Servers",
        "unknown_command": "ist kein bekannter Befehl",
    },
)
