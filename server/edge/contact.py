"""The normal form of e-mail addresses and phone numbers as users write them."""

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from phonenumbers import ValidationResult


class NotAContact(ValueError):
    """It is not an address or number. ``code`` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def email_address(text: str) -> str:
    """Return the normal form of an e-mail address, without a DNS lookup. Raises: NotAContact.

    The domain is in IDNA's form, so ``fuß.test`` and ``fuss.test`` stay two domains. Addresses under ``.test`` are
    accepted: no mail reaches them, and demos use them.
    """
    try:
        return validate_email(_bare(text), check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        raise NotAContact("not_an_address") from None


def phone_number(text: str) -> str:
    """Return an international phone number in E.164, like ``+4930901820``. Raises: NotAContact.

    Letters are refused, although a keypad has digits for them: they are a label, not a part of the number. A number
    that can be dialled only inside one area or country is refused too.
    """
    written = _bare(text)
    try:
        number = phonenumbers.parse(written, None)
    except phonenumbers.NumberParseException:
        raise NotAContact("not_international") from None
    possible = phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE
    if not possible or number.extension or any(char.isalpha() for char in written):
        raise NotAContact("not_a_number")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _bare(text: str) -> str:
    """Without outer white space, and without the direction marks that address books copy along."""
    return "".join([char for char in text if char not in _DIRECTION_MARKS]).strip()


_DIRECTION_MARKS = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\u200b")
