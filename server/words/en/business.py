"""English texts of businesses."""

from server.words.texts import EventText, NounTexts

TEXTS = NounTexts(
    events={
        "user.invited": EventText(
            title="Invitation to join a team",
            body="{business} invites you to join its team. You can accept or decline in the app.",
        ),
        "user.not_joined": EventText(
            title="Invitation no longer open",
            body="The invitation to {business} was withdrawn or is over.",
        ),
    },
    errors={
        "owner_stays": ("The owner stays", "An owner can neither be removed nor be given another role."),
        "already_member": ("Already in the team", "This person works here already."),
        "already_invited": (
            "Invited already",
            "You have invited this person, and can do so again when that invitation is over.",
        ),
    },
)
