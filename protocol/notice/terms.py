"""Terms of notices: bounds, enums, small structs and refusals."""

#: Recipients of one notice.
NOTICE_READERS_MAX = 100


NOTICE_TITLE_MAX = 100


NOTICE_BODY_MAX = 2_000
