"""Names of uploaded files, made safe to store, to log and to send back in a header."""

import re
import unicodedata

_LONGEST_BYTES = 200
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")


def safe_filename(name: str) -> str:
    """Returns the last path component without control, invisible or reserved characters.

    It is never empty, at most 200 bytes of UTF-8, and keeps its extension.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    visible = "".join(character for character in last if unicodedata.category(character) not in _INVISIBLE)
    plain = re.sub(r'[<>:"|?*;%\s]+', " ", visible).strip(" .")
    if _DEVICE.match(plain):
        plain = f"_{plain}"
    return _shortened(plain) or "unnamed"


def _shortened(name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    ending = (dot + extension).encode()
    if not stem or len(ending) > _LONGEST_BYTES // 4:
        return name.encode()[:_LONGEST_BYTES].decode(errors="ignore").strip(" .")
    kept = stem.encode()[: _LONGEST_BYTES - len(ending)].decode(errors="ignore").rstrip(" .")
    return kept + dot + extension
