"""German texts of businesses."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    errors={
        "owner_stays": (
            "Der Inhaber bleibt",
            "Ein Inhaber kann weder entfernt werden noch eine andere Rolle bekommen.",
        ),
        "already_member": ("Schon im Team", "Diese Person arbeitet bereits hier."),
    },
)
