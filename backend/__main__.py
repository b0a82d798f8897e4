"""`python -m backend` is `affidavit`."""

from backend.cli import app

app()
