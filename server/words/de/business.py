"""German texts of businesses."""

from server.words.texts import EventText, NounTexts

TEXTS = NounTexts(
    events={
        "user.invited": EventText(
            title="Einladung in ein Team",
            body="{business} lädt Sie ein, im Team mitzuarbeiten. Annehmen oder ablehnen können Sie in der App.",
        ),
        "user.not_joined": EventText(
            title="Einladung nicht mehr offen",
            body="Die Einladung von {business} wurde zurückgezogen oder ist abgelaufen.",
        ),
    },
    errors={
        "owner_stays": (
            "Der Inhaber bleibt",
            "Ein Inhaber kann weder entfernt werden noch eine andere Rolle bekommen.",
        ),
        "already_member": ("Schon im Team", "Diese Person arbeitet bereits hier."),
        "already_invited": (
            "Schon eingeladen",
            "Diese Person wurde bereits eingeladen; erneut geht es, wenn die Einladung abgelaufen ist.",
        ),
    },
)
