"""The console: pages over the services that the API calls, with the same caller and no right of its own."""

from pathlib import Path

from fastapi import APIRouter, FastAPI
from starlette.staticfiles import StaticFiles

from backend.console.page import PREFIX
from backend.console.pages import administration, approvals, ask, documents, review, search, sign_in

_PAGES = (sign_in, ask, search, documents, approvals, review, administration)


def install(app: FastAPI) -> None:
    """Adds the pages and their style and scripts to the application."""
    app.mount(f"{PREFIX}/static", StaticFiles(directory=Path(__file__).parent / "static"))
    for module in _PAGES:
        router: APIRouter = module.router
        app.include_router(router)
