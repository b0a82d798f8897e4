"""The character set of a text file: its mark, UTF-8, what it declares, or what its words look like in.

A general detector was not taken: on short texts it reads "£25" as "Ł25" or "｣25". Here a character set is chosen by
whether its letters stand where letters stand, and a text that fits none is refused rather than read as nonsense.
"""

import codecs
import re
import unicodedata
from pathlib import Path

from backend.documents.parsing.errors import UnknownCharacterSet
from backend.documents.parsing.findings import Findings, WarningKind

_READ_BYTES = 65_536
_SAMPLE_BYTES = 400_000
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_LEAST_ZEROS = 0.2  # of the bytes of a UTF-16 text that has some words in Latin letters
_ISO_2022 = re.compile(rb"\x1b\$[@B]|\x1b\(J")
_C1 = re.compile(rb"[\x80-\x9f]")
_HIGH = re.compile(rb"[^\n]{0,200}[\x80-\xff][^\n]{0,200}")

# Pages and mails use the names on the left for what browsers read as on the right.
_CODECS = {
    "gb2312": "gb18030", "gbk": "gb18030", "gb18030": "gb18030", "hz-gb-2312": "hz", "big5": "big5hkscs",
    "big5-hkscs": "big5hkscs", "shift_jis": "cp932", "shift-jis": "cp932", "x-sjis": "cp932", "sjis": "cp932",
    "windows-31j": "cp932", "euc-jp": "euc_jp", "iso-2022-jp": "iso2022_jp", "euc-kr": "cp949", "ks_c_5601-1987": "cp949",
    "iso-8859-1": "cp1252", "latin1": "cp1252", "us-ascii": "cp1252", "ascii": "cp1252", "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874", "tis-620": "cp874", "koi8-r": "koi8_r", "koi8-u": "koi8_u", "macintosh": "mac_roman",
    "x-mac-cyrillic": "mac_cyrillic", "ibm850": "cp850", "ibm852": "cp852", "ibm866": "cp866", "utf-8": "utf-8",
}  # fmt: skip
_NUMBERED = re.compile(r"iso-8859-(?:[2-8]|1[03-6])|windows-(?:874|125\d)")
_LEAST_MARGIN = 0.1
_LEAST_SCORE = 0.2

_KANA = re.compile(r"[\u3041-\u30ff]")
_HAN = re.compile(r"[\u4e00-\u9fff]")
_HANGUL = re.compile(r"[\uac00-\ud7a3]")
_COMMON_HAN = set("的一是不了在人有我他这中大来上国个到说们为子和你地出会也时要就可以对生能而过下年多后作里用道行所然家事成"
                  "方经发学民本得行業務料金手数海外送金支払銀行口座顧客会社日月年円元汇款费手续每笔百千万人账户存贷利率客户資產銀戶費每月存款貸"
                  "跨境五十三四六七八九二零开办理部公司保险规定应当")  # fmt: skip
_COMMON_HANGUL = set("이다의는을를에가한하고로인은지기사수자시대정일부원제해상스어라보리도서전국장관과경구금용신안주공조세"
                     "아그나있습니것들및료건당천만송외계좌객은행내월년해")  # fmt: skip
_CENTRAL = ("ąćęłńóśźż", "áčďéěíňóřšťúůýžľĺŕôä", "áéíóöőúüű", "ăâîşţ", "čćđšž", "äöüßé")
_WESTERN = (
    "éèêëàâçîïôœùûüÿ", "äöüß", "áéíñóúü¿¡ª", "áàâãçéêíóôõú", "àèéìíòóù", "æøåéäöü", "äöõüšž", "áðéíóúýþæö", "àéèíïóòúüç",
)  # fmt: skip
_LETTERS = {
    "cp1252": _WESTERN, "cp850": _WESTERN, "mac_roman": _WESTERN, "cp1250": _CENTRAL, "iso-8859-2": _CENTRAL,
    "cp1254": ("ğışğışçöüçöüâ",),
}  # fmt: skip
_CYRILLIC = "оеаинтсрвлкмдпуяыьіїє"
_SCRIPTS = {  # the letters that most words are made of
    "cp1251": _CYRILLIC, "koi8_r": _CYRILLIC, "cp866": _CYRILLIC, "iso8859_5": _CYRILLIC, "mac_cyrillic": _CYRILLIC,
    "cp1253": "αοιετσνηυρκπμλςάέίόήύώ", "cp1255": "יוהלארתבשמם", "cp1256": "اليمونترهبةعد", "cp874": "านรอกเงสยลมต่้ีิัค",
}  # fmt: skip
_RARE = 0.5
_ALL_CAPITALS = 0.2
_SEVERAL_LANGUAGES = 0.85
_PUNCTUATION = set("£€¥©®™°§«»„“”‘’‚–—…•·½¼¾¹²³±×µ¿¡\xa0†‡¢")
_NAMES = {"cp1252": "Windows-1252", "cp1250": "Windows-1250", "cp932": "Shift JIS", "gb18030": "GB 18030"}


def encoding_of(path: Path, findings: Findings, declared: str | None = None) -> str:
    """Returns the codec of a text file; raises UnknownCharacterSet for one that fits none."""
    with path.open("rb") as file:
        head = file.read(_READ_BYTES)
        for mark, encoding in _MARKS:
            if head.startswith(mark):
                return encoding
        if (wide := utf16_without_mark(head)) is not None:
            return wide
        if _ISO_2022.search(head):
            return "iso2022_jp"
        decoder = codecs.getincrementaldecoder("utf-8")()
        piece = head
        try:
            while piece:
                decoder.decode(piece)
                piece = file.read(_READ_BYTES)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            file.seek(0)
            return of_bytes(file.read(_SAMPLE_BYTES), findings, declared)
    return "utf-8"


def utf16_without_mark(head: bytes) -> str | None:
    """Returns the UTF-16 codec of a text whose every other byte is zero as far as it is Latin, None for another text."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) < _LEAST_ZEROS * len(head) or min(even, odd):
        return None
    return "utf-16-le" if odd else "utf-16-be"


def codec_named(name: str) -> str | None:
    """Returns the codec that browsers use for a declared character set, None for one that no text is written in."""
    label = name.strip().strip("\"'").lower()
    if label in _CODECS:
        return _CODECS[label]
    return label if _NUMBERED.fullmatch(label) else None


def of_bytes(sample: bytes, findings: Findings, declared: str | None = None) -> str:
    """Returns the codec of bytes that are no UTF-8; raises UnknownCharacterSet."""
    codec = codec_named(declared) if declared else None
    if codec not in {None, "utf-8"} and _decoded(sample, codec or "") is not None:
        return codec or ""
    if _is_damaged_utf8(sample):
        findings.warn(WarningKind.UNREADABLE_TEXT, "whole file", "Some bytes are no UTF-8 and appear as \ufffd.")
        return "utf-8"
    lines = b"\n".join(_HIGH.findall(sample)[:2_000])
    scores = {
        codec: _score(lines, codec)
        for codec in ("cp932", "euc_jp", "gb18030", "big5hkscs", "cp949", *_LETTERS, *_SCRIPTS)
    }
    # Of equals the first listed here wins, so that Western texts stay what they nearly always are.
    best = max(("cp1252", *scores), key=lambda codec: (scores[codec], codec == "cp1252"))
    if scores["cp1252"] >= scores[best] - _LEAST_MARGIN:
        best = "cp1252"
    if best == "cp1252" and b"\xa4" in lines and not _C1.search(lines):
        best = "iso8859_15"  # nobody writes ¤, which became the sign of the euro
    if scores[best if best in scores else "cp1252"] < _LEAST_SCORE:
        raise UnknownCharacterSet
    detail = f"The file names no character set and was read as {_NAMES.get(best, best)}, which its words look like."
    findings.warn(WarningKind.CHARACTER_SET, "whole file", detail)
    return best


def _decoded(sample: bytes, codec: str) -> str | None:
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        return decoder.decode(sample)
    except UnicodeDecodeError:
        return None


def _is_damaged_utf8(sample: bytes) -> bool:
    text = sample.decode("utf-8", "replace")
    good = sum(ord(character) > 0x7F for character in text) - text.count("\ufffd")
    return good >= 5 and text.count("\ufffd") * 10 < good


def _score(sample: bytes, codec: str) -> float:
    """Returns how well the text reads in a character set: 1 if every character beyond ASCII stands as it should."""
    text = _decoded(sample, codec)
    if text is None:
        return -1.0
    beyond = [index for index, character in enumerate(text) if ord(character) > 0x7F]
    if not beyond:
        return -1.0
    if codec in _LETTERS:
        languages = [sum(_fit(text, index, letters) for index in beyond) for letters in _LETTERS[codec]]
        together = _SEVERAL_LANGUAGES * sum(_fit(text, index, "".join(_LETTERS[codec])) for index in beyond)
        return max(*languages, together) / len(beyond)
    if codec in _SCRIPTS:
        return sum(_fit_script(text, index, _SCRIPTS[codec]) for index in beyond) / len(beyond)
    inside = sum(_is_between_latin(text, index) for index in beyond) / len(beyond)
    return _score_east_asian([text[index] for index in beyond], codec) - 2 * inside


def _score_east_asian(beyond: list[str], codec: str) -> float:
    joined = "".join(beyond)
    han, kana, hangul = len(_HAN.findall(joined)), len(_KANA.findall(joined)), len(_HANGUL.findall(joined))
    odd = sum(0xFF61 <= ord(c) <= 0xFF9F or unicodedata.category(c) in {"Co", "Cn", "Cc", "So"} for c in beyond)
    common = sum(character in _COMMON_HAN for character in joined)
    punctuation = sum(c in "。、，．：；（）「」『』？！％￥・《》—…　" or 0xFF01 <= ord(c) <= 0xFF5E for c in beyond)
    if codec in {"cp932", "euc_jp"}:
        good = float(kana + punctuation + (han if kana else common))
    elif codec == "cp949":
        usual = sum(character in _COMMON_HANGUL for character in joined)
        good = usual + (hangul - usual) * 0.4 + punctuation * 0.5
    else:
        good = common * 2 + (han - common) * 0.6 + punctuation - kana * 0.5 if han else 0
    return min(1.0, good / len(beyond)) - 2 * odd / len(beyond)


def _is_between_latin(text: str, index: int) -> bool:
    before, after = text[index - 1 : index], text[index + 1 : index + 2]
    return before.isascii() and before.islower() and after.isascii() and after.islower()


def _fit(text: str, index: int, letters: str) -> float:
    """Returns from −2 to 1 whether a character may stand where it does in a Latin text with these accented letters."""
    character, before, after = text[index], text[index - 1 : index], text[index + 1 : index + 2]
    common = _fit_any(character, before, after)
    if common is not None:
        return common
    if after.isdigit() or (character.isupper() and before.islower()):
        return -1.5
    if before.isalpha() and after.isalpha() and not before.isascii() and not after.isascii():
        return -1.0  # hardly a word has three accented letters in a row
    if not (before.isalpha() or after.isalpha()):
        return 0.4 if character in letters else -1.5
    return 1.0 if character.lower() in letters else -0.5


def _fit_script(text: str, index: int, letters: str) -> float:
    character, before, after = text[index], text[index - 1 : index], text[index + 1 : index + 2]
    common = _fit_any(character, before, after)
    if common is not None:
        return common
    if (character.isupper() and before.islower()) or (before.isascii() and before.isalpha()):
        return -1.5
    if not (before.isalpha() or after.isalpha()):
        return 0.2
    usual = 1.0 if character.lower() in letters else _RARE
    return usual - _ALL_CAPITALS if character.isupper() and before.isupper() else usual


def _fit_any(character: str, before: str, after: str) -> float | None:
    if character in _PUNCTUATION:
        return 0.6 if character in "’‘–—·" or not (before.isalpha() and after.isalpha()) else -2.0
    if unicodedata.category(character) in {"Cc", "Co", "Cn"}:
        return -2.0
    return None if character.isalpha() or unicodedata.category(character) == "Mn" else -1.0
