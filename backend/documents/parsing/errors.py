"""Why a file is refused: an exception per reason, with a stable code; its docstring is the default detail."""

from typing import ClassVar


class ParseError(Exception):
    """The file cannot be read."""

    code: ClassVar[str] = "parse_failed"

    def __init__(self, detail: str | None = None) -> None:
        """Takes a sentence for the uploader, or the class's own; it never quotes the file."""
        self.detail = detail or (type(self).__doc__ or "").strip()
        super().__init__(self.detail)


class EmptyFile(ParseError):
    """The file is empty."""

    code = "empty_file"


class FileTooLarge(ParseError):
    """The file, or the text in it, is larger than allowed."""

    code = "too_large"


class TooManyPages(ParseError):
    """The file has more pages than allowed."""

    code = "too_many_pages"


class UnsupportedFile(ParseError):
    """Files of this type are not accepted."""

    code = "unsupported_type"


class WrongFormat(ParseError):
    """The content of the file is not of the type that its name or media type declares."""

    code = "wrong_format"


class CorruptFile(ParseError):
    """The file is damaged."""

    code = "corrupt_file"


class EncryptedPdf(ParseError):
    """The PDF is protected by a password."""

    code = "encrypted_pdf"


class EncryptedFile(ParseError):
    """The file is protected by a password."""

    code = "encrypted_file"


class MacroEnabled(ParseError):
    """Files that contain macros are not accepted."""

    code = "macro_enabled"


class ZipBomb(ParseError):
    """The file unpacks to far more than its size."""

    code = "zip_bomb"


class XmlBomb(ParseError):
    """The file declares XML entities, which documents have no need of."""

    code = "xml_bomb"


class UnknownCharacterSet(ParseError):
    """The file names no character set and its words make sense in none; save it as UTF-8."""

    code = "unknown_character_set"


class NoText(ParseError):
    """The file has no text; a scanned document needs text recognition first."""

    code = "no_text"


class ParseTimeout(ParseError):
    """Reading the file took longer than allowed."""

    code = "parse_timeout"


class ParseMemory(ParseError):
    """Reading the file needs more memory than allowed."""

    code = "parse_memory"


def from_code(code: str, detail: str) -> ParseError:
    """Returns the error of that code; raises KeyError for an unknown one."""
    return {error.code: error for error in ParseError.__subclasses__()}[code](detail)
