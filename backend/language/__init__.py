"""What the words of five languages mean to a checker: data per language, and pure functions that read a text by it."""
