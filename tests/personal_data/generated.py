"""Generated text with personal data whose places are known; check digits are computed here, not by what is tested."""

import random
import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from backend.personal_data.kinds import PersonalKind

Chance = random.Random


@dataclass(frozen=True, slots=True)
class GeneratedText:
    """A text that holds one value of a kind, as it is written there."""

    kind: PersonalKind
    text: str
    written: str


def samples(seed: int, of_each: int) -> Iterator[GeneratedText]:
    """Yields so many texts for each kind; the same for the same seed."""
    chance = Chance(seed)
    for kind, (make, sentences) in _KINDS.items():
        for _ in range(of_each):
            written = make(chance)
            sentence = chance.choice((*sentences, *(_ANYWHERE if kind not in _CUED else ())))
            yield GeneratedText(kind, sentence.format(written), written)


def _digits(chance: Chance, count: int) -> str:
    return "".join(chance.choices(string.digits, k=count))


def _letters(chance: Chance, count: int) -> str:
    return "".join(chance.choices(string.ascii_uppercase, k=count))


def _grouped(chance: Chance, number: str, sizes: Sequence[int], separators: Sequence[str]) -> str:
    """Returns the number as it stands, or in groups."""
    separator = chance.choice(("", *separators))
    parts, start = [], 0
    for size in sizes:
        parts.append(number[start : start + size])
        start += size
    return separator.join([*parts, number[start:]] if number[start:] else parts)


def _card(chance: Chance) -> str:
    prefix, length = chance.choice(
        (("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("2720", 16), ("34", 15), ("37", 15), ("6011", 16), ("3528", 16))
    )  # fmt: skip
    body = prefix + _digits(chance, length - len(prefix) - 1)
    total = sum(
        sum(divmod(int(digit) * 2, 10)) if index % 2 == 0 else int(digit) for index, digit in enumerate(reversed(body))
    )
    sizes = (4, 6, 5) if length == 15 else (4, 4, 4, 4)
    return _grouped(chance, body + str(-total % 10), sizes, (" ", "-", "\u00a0"))


_ACCOUNTS: Sequence[tuple[str, Callable[[Chance], str]]] = (
    ("DE", lambda chance: _digits(chance, 18)),
    ("FR", lambda chance: _digits(chance, 10) + _digits(chance, 11) + _digits(chance, 2)),
    ("ES", lambda chance: _digits(chance, 20)),
    ("IT", lambda chance: _letters(chance, 1) + _digits(chance, 22)),
    ("GB", lambda chance: _letters(chance, 4) + _digits(chance, 14)),
    ("CH", lambda chance: _digits(chance, 17)),
    ("NL", lambda chance: _letters(chance, 4) + _digits(chance, 10)),
    ("AT", lambda chance: _digits(chance, 16)),
)


def _iban(chance: Chance) -> str:
    country, account = chance.choice(_ACCOUNTS)
    body = account(chance)
    number = int("".join(str(int(sign, 36)) for sign in f"{body}{country}00"))
    whole = f"{country}{98 - number % 97:02}{body}"
    written = _grouped(chance, whole, [4] * (len(whole) // 4), (" ", "\u00a0"))
    return written if chance.random() < 0.9 else written.lower()


def _german(chance: Chance) -> str:
    figures = chance.sample(string.digits, 9)
    while True:  # one figure stands twice, the first is no zero
        ten = [*figures, chance.choice(figures)]
        chance.shuffle(ten)
        if ten[0] != "0":
            break
    product = 10
    for figure in ten:
        product = ((int(figure) + product) % 10 or 10) * 2 % 11
    return _grouped(chance, f"{''.join(ten)}{(11 - product) % 10}", (2, 3, 3, 3), (" ", "\u00a0"))


def _french_tax(chance: Chance) -> str:
    ten = chance.choice("0123") + _digits(chance, 9)
    return _grouped(chance, f"{ten}{int(ten) % 511:03}", (2, 2, 3, 3, 3), (" ",))


def _french_social(chance: Chance) -> str:
    body = f"{chance.choice('12')}{_digits(chance, 2)}{chance.randint(1, 12):02}{chance.randint(1, 95):02}{_digits(chance, 6)}"
    if body[5:7] == "20":
        body = f"{body[:5]}2A{body[7:]}"
    number = int(body.replace("2A", "19").replace("2B", "18"))
    return _grouped(chance, f"{body}{97 - number % 97:02}", (1, 2, 2, 2, 3, 3, 2), (" ",))


def _spanish(chance: Chance) -> str:
    letters = "TRWAGMYFPDXBNJZSQVHLCKE"
    if chance.random() < 0.4:
        first, rest = chance.choice("XYZ"), _digits(chance, 7)
        letter = letters[int(str("XYZ".index(first)) + rest) % 23]
        return chance.choice((f"{first}{rest}{letter}", f"{first}-{rest}-{letter}"))
    number = _digits(chance, 8)
    letter = letters[int(number) % 23]
    dotted = f"{number[:2]}.{number[2:5]}.{number[5:]}"
    return chance.choice((f"{number}{letter}", f"{number}-{letter}", f"{dotted}-{letter}"))


_ODD = dict(
    zip(string.digits + string.ascii_uppercase,
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
        strict=True)
)  # fmt: skip


def _italian(chance: Chance) -> str:
    consonants = "".join(chance.choices("BCDFGLMNPRSTVZ", k=6))
    day = chance.randint(1, 28) + chance.choice((0, 40))
    body = f"{consonants}{chance.randint(30, 99):02}{chance.choice('ABCDEHLMPRST')}{day:02}{chance.choice('ABCDEFGHIL')}{chance.randint(1, 999):03}"
    even = string.digits + string.ascii_uppercase
    value = sum(
        _ODD[sign] if index % 2 == 0 else int(sign) if sign.isdigit() else even.index(sign) - 10
        for index, sign in enumerate(body)
    )
    return body + string.ascii_uppercase[value % 26]


def _social_security(chance: Chance) -> str:
    area = chance.choice([number for number in range(1, 900) if number != 666])
    separator = chance.choice(("-", " ", "-"))
    return f"{area:03}{separator}{chance.randint(1, 99):02}{separator}{chance.randint(1, 9999):04}"


def _individual_tax(chance: Chance) -> str:
    group = chance.choice((*range(50, 66), *range(70, 89), *range(90, 93), *range(94, 100)))
    return f"9{_digits(chance, 2)}-{group}-{_digits(chance, 4)}"


def _email(chance: Chance) -> str:
    first, last = chance.choice(("anna", "j.p", "maria-luisa", "o_neil", "bob+bank", "x")), chance.choice(_NAMES)
    domain = chance.choice(("example.com", "mail.example.co.uk", "bank-süd.de", "example.museum", "sub.example.fr"))
    return chance.choice((f"{first}.{last}@{domain}", f"{last}{_digits(chance, 2)}@{domain}", f"{first}@{domain}"))


_NAMES = ("garcia", "rossi", "müller", "dupont", "smith", "nguyen")


def _phone(chance: Chance) -> str:
    return chance.choice((_american, _german_phone, _french_phone, _spanish_phone, _italian_phone))(chance)


def _american(chance: Chance) -> str:
    area = chance.choice(("212", "415", "303", "617", "305", "206", "800", "888"))
    exchange, line = f"{chance.randint(2, 9)}{chance.randint(2, 9)}{chance.randint(2, 9)}", _digits(chance, 4)
    shape = chance.choice(
        ("({}) {}-{}", "{}-{}-{}", "{}.{}.{}", "+1 {} {} {}", "1-{}-{}-{}", "+1{}{}{}", "+1 ({}) {}-{}")
    )
    return shape.format(area, exchange, line)


def _german_phone(chance: Chance) -> str:
    area, line = chance.choice((("30", 8), ("89", 8), ("40", 8), ("171", 7), ("160", 7), ("69", 8)))
    number = f"{chance.randint(2, 9)}{_digits(chance, line - 1)}"
    return chance.choice(("+49 {} {}", "0{} {}", "0{}/{}", "+49 (0){} {}", "0{}-{}", "0049 {} {}")).format(area, number)


def _french_phone(chance: Chance) -> str:
    first = chance.choice("1234567")
    pairs = (
        [_digits(chance, 2) for _ in range(4)]
        if first != "7"
        else [f"6{_digits(chance, 1)}", *(_digits(chance, 2) for _ in range(3))]
    )
    if first in "1234":
        pairs[0] = {"1": "42", "2": "40", "3": "80", "4": "78"}[first]
    if first == "5":
        pairs[0] = "56"
    separator = chance.choice((" ", ".", "-", "\u00a0"))
    joined = separator.join(pairs)
    return chance.choice((f"0{first}{separator}{joined}", f"+33 {first} {joined}", f"+33 (0){first} {joined}"))


def _spanish_phone(chance: Chance) -> str:
    return (
        f"+34 {chance.choice(('61', '65', '91', '93'))}{_digits(chance, 1)} {_digits(chance, 3)} {_digits(chance, 3)}"
    )


def _italian_phone(chance: Chance) -> str:
    mobile = f"3{chance.choice(('47', '33', '28', '92'))} {_digits(chance, 7)}"
    return chance.choice(
        (
            f"+39 {mobile}",
            f"+39 02 {chance.randint(2, 8)}{_digits(chance, 7)}",
            f"02 {chance.randint(2, 8)}{_digits(chance, 7)}",
        )
    )


def _bic(chance: Chance) -> str:
    country = chance.choice(("DE", "FR", "ES", "IT", "GB", "US", "CH"))
    location = chance.choice(string.ascii_uppercase) + chance.choice(string.ascii_uppercase)
    return f"{_letters(chance, 4)}{country}{location}{chance.choice(('', 'XXX', '500'))}"


_ANYWHERE = (
    "{}", "Customer Jane Roe | {} | 14 March 2025 | 1,250.00", "The client gave {} as theirs, and signed.", "({})", "a\t{}\tb\n",
    "Der Kunde nannte {}, am 3.4.2025.", "Le client a donné « {} » le 12 mars.", "El cliente indicó {}; se archivó.",
    "Il cliente ha fornito {} il 12/03/2025.", "See form 12, item 3: {}. Then close the case.", "2024 2025 {}", "{} and EUR 20 a month",
)  # fmt: skip
_CUED = {PersonalKind.BIC}

_KINDS: dict[PersonalKind, tuple[Callable[[Chance], str], Sequence[str]]] = {
    PersonalKind.EMAIL: (_email, ("Write to {}.", "mailto:{}", "<{}>")),
    PersonalKind.IBAN: (_iban, ("IBAN: {}", "Bitte auf {} BIC DEUTDEFF überweisen.", "Compte {} ouvert à Lyon.")),
    PersonalKind.CARD: (_card, ("Card no. {}", "Kartennummer {}, gültig bis 12/27", "tarjeta {} caducada")),
    PersonalKind.ITALIAN_TAX_CODE: (_italian, ("codice fiscale {}", "C.F. {}")),
    PersonalKind.FRENCH_SOCIAL_SECURITY: (_french_social, ("NIR {}", "n° de sécurité sociale : {}")),
    PersonalKind.FRENCH_TAX_ID: (_french_tax, ("numéro fiscal {}", "SPI : {}")),
    PersonalKind.GERMAN_TAX_ID: (_german, ("Steuer-ID {}", "IdNr. {}")),
    PersonalKind.SPANISH_TAX_ID: (_spanish, ("DNI {}", "con NIF {}", "NIE: {}")),
    PersonalKind.US_SOCIAL_SECURITY: (_social_security, ("SSN {}", "Social Security number: {}")),
    PersonalKind.US_TAX_ID: (_individual_tax, ("ITIN {}", "taxpayer identification number {}")),
    PersonalKind.PHONE: (_phone, ("Tel. {}", "Telefon: {}", "Tél. : {}", "móvil {}", "Call {} before noon.")),
    PersonalKind.BIC: (_bic, ("BIC {}", "SWIFT: {}", "BIC/SWIFT {}", "SWIFT code {}", "BIC (SWIFT-Code): {}")),
}  # fmt: skip
