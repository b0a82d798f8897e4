"""PDF pages, through PDFium: where glyphs stand becomes lines, columns, tables, headings and paragraphs."""
