"""The ways to reach somebody who is not looking at the app."""

from enum import StrEnum


class Channel(StrEnum):
    """One way. In the app itself everything is shown in any case, so that is none of them."""

    EMAIL = "email"
    #: A telephone's own push service. Where types and preferences name it, browsers that registered are meant as well.
    PUSH = "push"
    #: A browser's push service. Follows PUSH; only deliveries name it.
    WEB_PUSH = "web_push"
    SMS = "sms"
    WHATSAPP = "whatsapp"


#: Ways to write to somebody, of which one is used; the first is everybody's.
WRITTEN_CHANNELS = (Channel.EMAIL, Channel.SMS, Channel.WHATSAPP)
