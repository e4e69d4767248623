"""English texts of businesses."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    errors={
        "owner_stays": ("The owner stays", "An owner can neither be removed nor be given another role."),
        "already_member": ("Already in the team", "This person works here already."),
    },
)
