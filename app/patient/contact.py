"""Telephone numbers, e-mail addresses and national numbers, made comparable.

Spec: MAT-07, MAT-08.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Literal

import phonenumbers

# Digits from the right that a blocking key takes: the same whether or not a country code was written.
KEY_DIGITS = 8

# What is known of a national number: its check digit is right, wrong, or there is none that we know.
Check = Literal["valid", "invalid", "unchecked"]

# The scheme of numbers that are trusted when equal but are copied by hand without a check digit.
UNVERIFIED = "unverified"


@lru_cache(maxsize=16384)
def phone(text: str, home_country: str = "") -> str:
    """Return a telephone number in E.164, or its digits when it cannot be read as one; "" without digits.

    Args:
        home_country: ISO 3166 alpha-2, where numbers without a country code belong; "" for none.

    Examples:
        "0905 111 222", "SK"  -> "+421905111222"
        "00421905111222", "SK" -> "+421905111222"
    """
    digits = "".join(letter for letter in text if letter.isdecimal() and letter.isascii())
    if len(digits) < KEY_DIGITS - 2:
        return ""
    if text.lstrip().startswith("00"):
        text = "+" + text.lstrip()[2:]
    try:
        number = phonenumbers.parse(text, home_country or None)
    except phonenumbers.NumberParseException:
        return digits
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def email(text: str) -> str:
    """Return an e-mail address in lower case without blanks, "" when it is none."""
    address = "".join(text.split()).lower().removeprefix("mailto:")
    return address if "@" in address[1:-1] else ""


def telecom_key(value: str) -> str:
    """Return what a blocking key takes of a telephone number or e-mail address."""
    return value if "@" in value else value[-KEY_DIGITS:]


def national_number(text: str, scheme: str) -> tuple[str, Check]:
    """Return a national number without separators, and whether its check digit is right.

    Args:
        scheme: where python-stdnum has the number's rules, for example `sk.rc`; "" when every number counts as valid,
            because its source checks it; `unverified` when slips of the pen must be expected.

    Raises:
        ValueError: python-stdnum does not know `scheme`.
    """
    compact = "".join(letter for letter in text.upper() if letter.isalnum())
    if scheme in ("", UNVERIFIED):
        return compact, "unchecked" if scheme else "valid"
    rules = number_rules(scheme)
    valid = rules.is_valid(text) or rules.is_valid(compact)
    return compact, "valid" if valid else "invalid"


@lru_cache(maxsize=64)
def number_rules(scheme: str) -> ModuleType:
    """Return python-stdnum's module for `scheme`, `country.number`.

    Raises:
        ValueError: there is none.
    """
    try:
        module = import_module(f"stdnum.{scheme}")
    except ImportError as error:
        raise ValueError(f"`{scheme}` is not a number that python-stdnum can check, such as `sk.rc`.") from error
    if not hasattr(module, "is_valid"):
        raise ValueError(f"`{scheme}` is not a number that python-stdnum can check, such as `sk.rc`.")
    return module
