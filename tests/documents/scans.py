"""PDFs of which some pages are pictures, as a scanner makes them."""

from dataclasses import dataclass
from io import BytesIO

import pypdfium2
from PIL import Image

from tests.documents.test_parsing_pdf import DrawnPage, lines, serialised

WIDTH, HEIGHT = 612, 792  # points of a page


@dataclass
class Scan:
    """A page that is a picture, and what was printed on it afterwards as text."""

    picture: Image.Image
    printed: bytes = b""


def rendered(content: bytes | pypdfium2.PdfDocument, number: int = 0, dots: int = 200) -> Image.Image:
    """A page of a PDF as a picture, with so many dots for each inch."""
    document = content if isinstance(content, pypdfium2.PdfDocument) else pypdfium2.PdfDocument(content)
    return document[number].render(scale=dots / 72, may_draw_forms=True).to_pil().convert("RGB")


def mixed(*pages: bytes | Scan, catalog: bytes = b"", rotate: int = 0) -> bytes:
    """A PDF with a page for each: contents are drawn as they are, and pictures fill their pages."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R %s >>" % catalog,
        b"<< /Type /Pages /Kids [%s] /Count %d >>"
        % (b" ".join(b"%d 0 R" % (6 + 3 * number) for number in range(len(pages))), len(pages)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold >>",
        b"<< >>",
    ]
    for number, page in enumerate(pages):
        at = 6 + 3 * number
        content, picture, width, height = page if isinstance(page, bytes) else b"", b"<< >>", WIDTH, HEIGHT
        if isinstance(page, Scan):
            stored = BytesIO()
            page.picture.save(stored, "JPEG", quality=85)
            width, height = (round(side * 72 / 200) for side in page.picture.size)
            content = b"q %d 0 0 %d 0 0 cm /X Do Q %s" % (width, height, page.printed)
            picture = (
                b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceRGB /BitsPerComponent 8"
                b" /Filter /DCTDecode /Length %d >> stream\n%s\nendstream"
                % (*page.picture.size, len(stored.getvalue()), stored.getvalue())
            )
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Rotate %d /Contents %d 0 R /Resources"
            b" << /Font << /F0 3 0 R /F1 4 0 R >> /XObject << /X %d 0 R >> >> >>"
            % (width, height, rotate, at + 1, at + 2),
            b"<< /Length %d >> stream\n%s\nendstream" % (len(content), content),
            picture,
        ]
    return serialised(objects)


def written(*texts: str, size: float = 10) -> bytes:
    """The content of a page with these lines."""
    return DrawnPage(lines(*texts, size=size), pitch=1.4 * size).content()


def scan(*texts: str, size: float = 10) -> Scan:
    """A page with these lines as a scanner sees it."""
    return Scan(rendered(mixed(written(*texts, size=size))))
