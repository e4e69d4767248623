"""English."""

from collections.abc import Mapping

KINDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "greeting": {
        "customer": ("Hello!", "Hi, thanks for getting in touch.", "Hello, good to hear from you."),
        "provider": ("Hello! How can I help?", "Hi, thanks for your message.", "Hello, good to hear from you."),
        "any": ("Hello!", "Hi, how are you?", "Hello, good to hear from you."),
    },
    "thanks": {"any": ("You're welcome!", "My pleasure.", "Glad to hear that.")},
    "time": {
        "customer": ("Yes, that time works for me.", "Could we make it a little later?", "I'm free all day."),
        "provider": ("I'll be there at the agreed time.", "Let me check my calendar.", "Which time suits you best?"),
        "any": ("Let me check my calendar.", "Which time suits you best?", "Yes, that time works for me."),
    },
    "arrival": {
        "customer": ("Great, see you soon!", "Tell me when you are close.", "How long will it still take?"),
        "provider": ("I'm on my way 🚗", "I'll be there in a few minutes.", "See you soon!"),
        "any": ("I'm on my way 🚗", "See you soon!", "How long will it still take?"),
    },
    "price": {
        "customer": ("That's fine with me.", "Could you send me the details?", "Is anything added to that?"),
        "provider": (
            "The price is the one in your booking.",
            "Extras are only added if you agree.",
            "I'll check and get back to you.",
        ),
        "any": ("I'll check and get back to you.", "Could you send me the details?", "That's fine with me."),
    },
    "place": {
        "customer": ("The address is in the booking.", "Where exactly is it?", "I'll find it, thanks."),
        "provider": ("The address is in the booking.", "I'll check and get back to you.", "I'll send you the details."),
        "any": ("I'll send you the address.", "Where exactly is it?", "I'll find it, thanks."),
    },
    "late": {
        "customer": ("No problem, take your time.", "How much later will it be?", "I'll be a little late too."),
        "provider": ("No problem, I'll wait.", "Sorry, I'll be a little late.", "I'll tell you when I'm close."),
        "any": ("No problem, take your time.", "How much later will it be?", "Sorry, I'll be a little late."),
    },
    "cancel": {
        "customer": ("Could we move it to another day?", "I'm sorry to hear that.", "What happens to my payment?"),
        "provider": ("I'm sorry to hear that.", "Shall we find another time?", "You can cancel it in the booking."),
        "any": ("I'm sorry to hear that.", "Shall we find another time?", "What is the reason?"),
    },
    "problem": {
        "customer": ("Could you have another look, please?", "I'll send you a picture.", "What do you suggest?"),
        "provider": ("I'm sorry about that.", "Could you send me a picture?", "I'll take care of it."),
        "any": ("I'm sorry about that.", "Could you tell me more?", "I'll take care of it."),
    },
    "complaint": {
        "customer": ("I'm sorry that you feel that way.", "What would you suggest?", "Let us sort this out."),
        "provider": ("I'm sorry about that.", "I take this seriously.", "Could you tell me what happened?"),
        "any": ("I'm sorry about that.", "Could you tell me what happened?", "I take this seriously."),
    },
    "question": {
        "customer": ("Yes, that's fine.", "No, sorry.", "I'll check and get back to you."),
        "provider": ("Yes, of course.", "I'm afraid not.", "Let me check and get back to you."),
        "any": ("Yes, of course.", "No, sorry.", "I'll check and get back to you."),
    },
    "own": {"any": ("Did you get my message?", "Just let me know when you can.", "There's no hurry.")},
    "nothing": {
        "customer": (
            "Hello! I have a question.",
            "Is everything set for our appointment?",
            "Is there anything I should prepare?",
        ),
        "provider": (
            "Hello! How can I help?",
            "Is there anything I should know beforehand?",
            "Do you have any questions?",
        ),
        "any": ("Hello!", "I have a question.", "Do you have a moment?"),
    },
}
STAGES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "before": {
        "customer": ("See you then!", "Is there anything I should prepare?", "I'll be on time."),
        "provider": ("I'm looking forward to it.", "I'll be on time.", "Do you have any questions?"),
    },
    "now": {
        "customer": ("How is it going?", "Do you need anything from me?", "How much longer will it take?"),
        "provider": ("It's going well.", "I'm nearly done.", "I need a little more time."),
    },
    "after": {
        "customer": ("Thank you, well done!", "Everything looks good.", "I have one more question."),
        "provider": ("Thank you for your trust!", "Is everything as you wished?", "I'd be glad about a review."),
    },
    "off": {
        "customer": ("That's a pity.", "Could we find another time?", "I'll book again soon."),
        "provider": ("Sorry that it didn't work out.", "Shall we find another time?", "I hope to see you again."),
    },
}
GENERAL: tuple[str, ...] = (
    "Thanks for letting me know.",
    "All right.",
    "Sounds good!",
    "I'll get back to you shortly.",
    "One moment, please.",
    "Okay, thank you.",
)
#: After bad news, instead of the replies of the stage and the general ones: they neither cheer nor promise.
TROUBLE: tuple[str, ...] = (
    "I understand.",
    "Thanks for telling me.",
    "Let me check and get back to you.",
    "How can we solve this?",
    "I'll get back to you shortly.",
    "One moment, please.",
)
