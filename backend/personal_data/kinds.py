"""What is looked for: for each kind the form in which it is written, and the check that tells it from other figures."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import phonenumbers
from stdnum import bic, iban, luhn
from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.fr import nif, nir
from stdnum.it import codicefiscale
from stdnum.us import ssn


class PersonalKind(StrEnum):
    """A kind of personal data. The values are sealed in records."""

    EMAIL = "email"
    IBAN = "iban"
    CARD = "card"
    ITALIAN_TAX_CODE = "it_tax_code"
    FRENCH_SOCIAL_SECURITY = "fr_social_security"
    FRENCH_TAX_ID = "fr_tax_id"
    GERMAN_TAX_ID = "de_tax_id"
    SPANISH_TAX_ID = "es_tax_id"
    US_SOCIAL_SECURITY = "us_ssn"
    US_TAX_ID = "us_itin"
    PHONE = "phone"
    BIC = "bic"


@dataclass(frozen=True, slots=True)
class Pattern:
    """The form of a kind; `holds` says whether what has the form, as written, is one.

    With a `cue`, only where that stands shortly before it: too many other words and figures have its form.
    """

    kind: PersonalKind
    form: re.Pattern[str]
    holds: Callable[[str], bool]
    cue: re.Pattern[str] | None = None


GAP = r"[ \u00a0\u202f\u2007]"
_DASH = r"[\-\u2010\u2011\u2012\u2013]"
_BETWEEN = rf"(?:{GAP}|{_DASH}|[./])"
# No figure, letter or part of a longer number stands beside it.
_BEGIN = r"(?<![\w@+])(?<![0-9][.,/\-\u2010-\u2013])"
_END = r"(?![\w@])(?![.,/\-\u2010-\u2013][0-9])"
_SEPARATORS = re.compile(rf"{_BETWEEN}|[()+]")


def compact(written: str) -> str:
    """Returns a number without what separates its figures, in capitals."""
    return _SEPARATORS.sub("", written).upper()


def _form(pattern: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    return re.compile(_BEGIN + pattern + _END, flags)


def _checked(check: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda written: check(compact(written))


# Issuers' prefixes with the lengths of their numbers (ISO/IEC 7812): a Luhn digit alone holds for one figure in ten.
_ISSUED = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}|6(?:011|5\d\d|4[4-9]\d)\d{12}|62\d{14,17}|(?:50|5[6-8]|6[37])\d{14}",
    re.ASCII,
)


def is_iban(written: str) -> bool:
    """Whether a number has the form of its country and the check digits; a bank's own digits are not looked at."""
    return iban.is_valid(compact(written), check_country=False)


def _is_card(written: str) -> bool:
    number = compact(written)
    return bool(_ISSUED.fullmatch(number)) and luhn.is_valid(number)


def _is_french_tax_id(written: str) -> bool:
    number = compact(written)
    return number[0] in "0123" and nif.is_valid(number)


def _is_spanish_tax_id(written: str) -> bool:
    number = compact(written)
    return dni.is_valid(number) or nie.is_valid(number)


def _has_the_form(_: str) -> bool:
    return True


_COUNTRIES = ("US", "DE", "AT", "CH", "FR", "ES", "IT", "GB")


def _is_phone(written: str) -> bool:
    """Whether a number is one that is assigned: abroad by its country code, else in a country of one of the languages."""
    regions = (None,) if written.startswith(("+", "00")) else _COUNTRIES
    number = re.sub(r"^00", "+", written.replace("(0)", ""))
    return any(_is_assigned(number, region) for region in regions)


def _is_assigned(number: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


_ITIN_GROUP = r"(?:5[0-9]|6[0-5]|7[0-9]|8[0-8]|9[0-2]|9[4-9])"  # which the IRS gives out; there is no check digit
_NUMBERED = r"(?:\([0-9]{1,4}\)|[0-9])"  # a figure, or an area code in brackets
# "tel." and the like in the five languages, in front of forms that figures of tables have as well.
_PHONE_CUE = re.compile(
    r"(?:\b(?:tel|t[ée]l[ée]f|t[ée]l[ée]ph|phone|mobil|m[óo]vil|cell|handy|portable|fax|call|cellulare|numero|ruf|whatsapp"
    r"|tfno|tlf|tfn)\w*|☎|📞)[^0-9\n]{0,24}$",
    re.IGNORECASE,
)
_SSN_CUE = re.compile(r"(?:\bSSN|social security|\bITIN|taxpayer id\w*)[^0-9\n]{0,24}$", re.IGNORECASE)
_BIC_CUE = re.compile(
    r"\b(?:BIC|SWIFT)\b(?-i:[^A-Z\n]{0,16}|[^A-Z\n]{0,8}(?:Code|BIC|SWIFT|CODE)[^A-Z\n]{0,8})$", re.IGNORECASE
)

# Of two that overlap, the one that stands first here counts.
PATTERNS = (
    Pattern(
        PersonalKind.EMAIL,
        re.compile(
            r"(?<![\w.%+\-])[\w.%+\-]{1,64}@(?:[^\W_](?:[\w\-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w@])(?!\.\w)"
        ),
        lambda written: ".." not in written and not written.startswith("."),
    ),
    # As long as its country says; what follows it may look like its next group, so that it is cut to length.
    Pattern(
        PersonalKind.IBAN,
        re.compile(r"(?<!\w)[A-Z]{2}[0-9]{2}(?:[ \u00a0\u202f\-]?[0-9A-Z]){11,30}", re.IGNORECASE),
        is_iban,
    ),
    Pattern(
        PersonalKind.ITALIAN_TAX_CODE,
        _form(r"[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]", re.IGNORECASE),
        _checked(codicefiscale.is_valid),
    ),
    Pattern(
        PersonalKind.CARD,
        _form(
            rf"(?:[0-9]{{12,19}}|[0-9]{{4}}(?:{_BETWEEN}[0-9]{{4}}){{2,3}}(?:{_BETWEEN}[0-9]{{1,4}})?"
            rf"|[0-9]{{4}}{_BETWEEN}[0-9]{{6}}{_BETWEEN}[0-9]{{4,5}})"
        ),
        _is_card,
    ),
    Pattern(
        PersonalKind.FRENCH_SOCIAL_SECURITY,
        _form(rf"[12]{_BETWEEN}?[0-9]{{2}}{_BETWEEN}?[0-9]{{2}}{_BETWEEN}?(?:[0-9]{{2}}|2[AB]){_BETWEEN}?"
              rf"[0-9]{{3}}{_BETWEEN}?[0-9]{{3}}{_BETWEEN}?[0-9]{{2}}", re.IGNORECASE),
        _checked(nir.is_valid),
    ),
    Pattern(
        PersonalKind.FRENCH_TAX_ID,
        _form(rf"[0-3][0-9]{_BETWEEN}?[0-9]{{2}}{_BETWEEN}?[0-9]{{3}}{_BETWEEN}?[0-9]{{3}}{_BETWEEN}?[0-9]{{3}}"),
        _is_french_tax_id,
    ),
    Pattern(
        PersonalKind.GERMAN_TAX_ID,
        _form(rf"[1-9][0-9]{_BETWEEN}?[0-9]{{3}}{_BETWEEN}?[0-9]{{3}}{_BETWEEN}?[0-9]{{3}}"),
        _checked(idnr.is_valid),
    ),
    Pattern(
        PersonalKind.SPANISH_TAX_ID,
        _form(rf"(?:[0-9]{{8}}|[0-9]{{2}}\.[0-9]{{3}}\.[0-9]{{3}}|[XYZ]{_DASH}?[0-9]{{7}}){_BETWEEN}?[A-Z]"),
        _is_spanish_tax_id,
    ),
    Pattern(
        PersonalKind.US_SOCIAL_SECURITY,
        _form(rf"[0-8][0-9]{{2}}({GAP}|{_DASH})[0-9]{{2}}\1[0-9]{{4}}"),
        _checked(ssn.is_valid),
    ),
    Pattern(PersonalKind.US_SOCIAL_SECURITY, _form(r"[0-8][0-9]{8}"), _checked(ssn.is_valid), _SSN_CUE),
    Pattern(PersonalKind.US_TAX_ID, _form(rf"9[0-9]{{2}}({GAP}|{_DASH}){_ITIN_GROUP}\1[0-9]{{4}}"), _has_the_form),
    Pattern(PersonalKind.US_TAX_ID, _form(rf"9[0-9]{{2}}{_ITIN_GROUP}[0-9]{{4}}"), _has_the_form, _SSN_CUE),
    Pattern(
        PersonalKind.PHONE,
        re.compile(rf"(?<![\w@+])(?<![0-9][.,/\-])(?:\+|00)[1-9][0-9]{{0,2}}(?:{_BETWEEN}?{_NUMBERED}){{6,13}}{_END}"),
        _is_phone,
    ),
    Pattern(  # as it is written in North America
        PersonalKind.PHONE,
        re.compile(
            rf"(?<![\w@+])(?<![0-9][.,/\-])(?:1{_BETWEEN})?(?:\([2-9][0-9]{{2}}\){GAP}?[2-9][0-9]{{2}}(?:{_DASH}|[. ])[0-9]{{4}}"
            rf"|[2-9][0-9]{{2}}({_DASH}|\.)[2-9][0-9]{{2}}\1[0-9]{{4}}){_END}"
        ),
        _is_phone,
    ),
    Pattern(  # with a leading zero, as in Europe
        PersonalKind.PHONE,
        re.compile(
            rf"(?<![\w@+])(?<![0-9][.,/\-])(?:\(0[1-9][0-9]{{0,4}}\)|0[1-9][0-9]{{0,4}})(?:{GAP}|{_BETWEEN}{{1,3}})[0-9](?:{_BETWEEN}?[0-9]){{4,10}}{_END}"
        ),
        _is_phone,
    ),
    Pattern(PersonalKind.PHONE, _form(rf"{_NUMBERED}(?:{_BETWEEN}?{_NUMBERED}){{6,13}}"), _is_phone, _PHONE_CUE),
    Pattern(PersonalKind.BIC, _form(r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?"), bic.is_valid, _BIC_CUE),
)  # fmt: skip
