"""What the characters of the font Symbol are: a ≤ or a digit set in it has another number than elsewhere."""

_OTHERS = {
    0x22: "∀", 0x24: "∃", 0x2D: "−", 0x40: "≅", 0xA0: "€", 0xA3: "≤", 0xA5: "∞", 0xA7: "♣", 0xAB: "↔", 0xAC: "←", 0xAD: "↑",
    0xAE: "→", 0xAF: "↓", 0xB0: "°", 0xB1: "±", 0xB2: "″", 0xB3: "≥", 0xB4: "×", 0xB5: "∝", 0xB6: "∂", 0xB7: "•", 0xB8: "÷",
    0xB9: "≠", 0xBA: "≡", 0xBB: "≈", 0xBC: "…", 0xC6: "∅", 0xC7: "∩", 0xC8: "∪", 0xCC: "⊂", 0xCE: "∈", 0xD1: "∇", 0xD2: "®",
    0xD3: "©", 0xD4: "™", 0xD5: "∏", 0xD6: "√", 0xD7: "⋅", 0xD8: "¬", 0xD9: "∧", 0xDA: "∨", 0xE2: "®", 0xE3: "©", 0xE4: "™",
    0xE5: "∑", 0xF2: "∫",
}  # fmt: skip
_LATIN = "ABGDEZHQIKLMNXOPRSTUFCYWabgdezhqiklmnxoprstufcyw"
_GREEK = dict(zip(_LATIN, "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩαβγδεζηθικλμνξοπρστυφχψω", strict=True))


def letter_of_symbol(code: int) -> str | None:
    """Returns the letter, figure or sign that a code from 0 to 255 stands for, None if there is none."""
    if code in _OTHERS:
        return _OTHERS[code]
    letter = chr(code)
    if letter in _GREEK:
        return _GREEK[letter]
    return letter if 0x20 <= code < 0x40 or letter in "[]_{|}" else None
