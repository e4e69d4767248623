"""E-mail addresses and phone numbers in procedures: their normal form, and the country of a number."""

from collections.abc import Collection

import phonenumbers

from protocol.errors import Invalid
from server.edge.contact import NotAContact, email_address, phone_number


def normal_email(text: str) -> str:
    """Check an e-mail address and return its normal form. Raises: Invalid."""
    try:
        return email_address(text)
    except NotAContact as error:
        raise Invalid(email=error.code) from error


def normal_phone(text: str) -> str:
    """Check an international phone number and return it in E.164. Raises: Invalid."""
    try:
        return phone_number(text)
    except NotAContact as error:
        raise Invalid(phone_number=error.code) from error


def is_in(number: str, *, countries: Collection[str]) -> bool:
    """Whether a number in E.164 belongs to one of these countries; an empty collection allows all."""
    return not countries or phonenumbers.region_code_for_number(phonenumbers.parse(number, None)) in countries
