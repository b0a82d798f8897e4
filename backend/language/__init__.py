"""What words mean: data of each language in `data/`, and pure functions that read a text by it.

- `sentences.py`: where sentences end; one reading for answers, one for the chunks of documents.
- `stemming.py`: stems. `stop_words.py`: what is left out, a list for each use.
- `languages.py`: the rules of each language, the names of its months, and which language a text is in.
- `tokens.py`, `numbers.py`, `quantities.py`, `bounds.py`, `modals.py`, `clauses.py`, `parsed_sentences.py`: how the check of
  sentences reads one, by those rules.
- `terms.py`: how the built-in generator reads English.
- `legible.py`: a text as a reader sees it, without what is hidden or only looks alike.

Words that the service prints and never reads stay where they are printed, such as numbers of lists in documents.
"""
