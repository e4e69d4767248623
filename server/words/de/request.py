"""German texts of HTTP requests."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    errors={
        "misdirected": ("Nicht dieser Server", "Der Server ist für den Host „{host}“ nicht zuständig."),
        "method_not_allowed": ("Methode nicht erlaubt", "Diese Adresse kennt nur {allowed}."),
        "not_acceptable": ("Nicht annehmbar", "Diese Adresse antwortet in keinem der gewünschten Medientypen."),
        "request_timeout": ("Die Anfrage dauerte zu lange", "Der Inhalt kam nicht rechtzeitig an."),
        "body_too_large": ("Der Inhalt ist zu groß", "Hier sind höchstens {bytes_max} Bytes möglich."),
        "unsupported_media_type": ("Medientyp nicht unterstützt", "Senden Sie {header}: {supported}."),
    },
)
