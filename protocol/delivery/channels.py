"""Channels: how a user is reached outside the app."""

from enum import StrEnum


class Channel(StrEnum):
    """One channel. The app itself shows every notification and is not a channel."""

    EMAIL = "email"
    #: A phone's push service. In types and preferences it includes registered browsers.
    PUSH = "push"
    #: A browser's push service. Only deliveries name it; types and preferences name PUSH.
    WEB_PUSH = "web_push"
    SMS = "sms"
    WHATSAPP = "whatsapp"


#: Written channels, of which one is used; every user has the first.
WRITTEN_CHANNELS = (Channel.EMAIL, Channel.SMS, Channel.WHATSAPP)
