"""English texts of HTTP requests."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    errors={
        "misdirected": ("Not this server", "The server does not answer for the host “{host}”."),
        "method_not_allowed": ("Method not allowed", "This address answers to {allowed} only."),
        "not_acceptable": ("Not acceptable", "This address answers in none of the media types asked for."),
        "request_timeout": ("The request took too long", "The body did not arrive in time."),
        "body_too_large": ("The body is too large", "This route takes at most {bytes_max} bytes."),
        "unsupported_media_type": ("Unsupported media type", "Send {header}: {supported}."),
    },
)
