"""E-mail addresses and phone numbers in their normal form."""

from collections.abc import Collection

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from protocol.errors import Invalid


def normal_email(text: str) -> str:
    """Check an e-mail address and give its normal form; nothing is looked up. Raises: Invalid.

    Addresses under ``.test`` pass: they are reserved, and the demo needs some.
    """
    try:
        return validate_email(text, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise Invalid(email="not_an_address") from error


def normal_phone(text: str) -> str:
    """Check an international phone number and give it in E.164, like ``+4930901820``. Raises: Invalid."""
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException as error:
        raise Invalid(phone_number="not_international") from error
    if not phonenumbers.is_possible_number(number) or number.extension:
        raise Invalid(phone_number="not_a_number")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def is_in(number: str, *, countries: Collection[str]) -> bool:
    """Whether a number in E.164 is of one of these countries, of any if none is named."""
    return not countries or phonenumbers.region_code_for_number(phonenumbers.parse(number, None)) in countries
