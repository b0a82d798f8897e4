"""The demo with a small language model: its packages are asked for by name, and what it says is checked before it is shown."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from backend.demo import run, smollm2_server
from backend.settings import Settings
from tests.scratch import place
from tests.serving import started

needs_model = pytest.mark.skipif(
    not smollm2_server.is_installed(), reason="needs the packages of requirements-models.lock: make test-models"
)
# So small a model says something else whenever its prompt differs by a word, and each prompt has marks of its own.
ASKED = {
    "What is the fee for an overdraft?": "$20",
    "What is the monthly maintenance fee for Everyday Checking?": "$10",
    "How much does a stop payment order cost?": "$30",
    "How much does an outgoing domestic wire cost?": "$25",
    "How much of a day's check deposits is available on the next business day?": "$275",
    "Up to what amount can staff settle a complaint with a goodwill credit?": "$100",
}
PATIENCE = 600.0  # seconds; on two busy cores an answer takes minutes


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that the embedded database may enter as its own user."""
    with tempfile.TemporaryDirectory(prefix="affidavit-test-", dir=place()) as folder:
        yield Path(folder)


def test_without_the_model_s_packages_the_demo_says_how_to_install_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr(smollm2_server, "is_installed", lambda: False)
    home = tmp_path_factory.mktemp("home")
    with pytest.raises(run.DemoError, match=r"requirements-models\.lock"):
        run.run(Settings(home=home), 0, small_model=True)
    assert not (home / "database.json").exists()


@needs_model
def test_the_model_answers_a_question_of_the_demo_and_its_sentence_cites_what_says_so(home: Path) -> None:
    own = {"AFFIDAVIT_HOME": str(home)}
    with started("demo", "--model", "smollm2", settings=own, seconds=PATIENCE) as demo:
        tenant = json.loads((home / "demo-credentials.json").read_text())["tenants"][0]
        analyst = next(user for user in tenant["users"] if user["username"] == "analyst")
        form = {"client_id": tenant["slug"], "username": "analyst", "password": analyst["password"]}
        with httpx.Client(base_url=demo.url, timeout=PATIENCE) as client:
            token = client.post("/auth/token", data=form).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            answers = (client.post("/answer", json={"question": asked}, headers=headers).json() for asked in ASKED)
            answer = next((answer for answer in answers if not answer["refused"]), None)
    assert answer is not None, "refused every question"
    assert answer["model"] == "smollm2"
    assert ASKED[answer["question"]] in answer["answer"], answer
    assert ASKED[answer["question"]] in answer["citations"][0]["quote"], answer
    assert answer["usage"]["completion_tokens"] > 0
