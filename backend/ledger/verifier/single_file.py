"""Writes the verifier as one file that runs with nothing of the service; whoever is handed it reads it from top to bottom."""

import ast
from pathlib import Path

FOLDER = Path(__file__).parent
PACKAGE = "backend.ledger.verifier"
# In the order in which they build on each other.
MODULES = (
    "bundle_format", "findings", "tree", "spelling", "signed_notes", "proven", "handovers", "archive", "entries", "plain",
    "checkpoints", "log", "events", "archives", "payloads", "verification", "together", "command",
)  # fmt: skip


def single_file() -> str:
    """Returns the source of the verifier as one module: its modules one after the other, with their imports at the top."""
    imports, sections = set[str](), []
    for name in MODULES:
        source = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
        tree, dropped = ast.parse(source), set[int]()
        for node in tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                dropped |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
                if not (isinstance(node, ast.ImportFrom) and str(node.module).startswith(PACKAGE)):
                    imports.add(ast.unparse(node))
        title = tree.body[0]
        dropped |= set(range(title.lineno, (title.end_lineno or title.lineno) + 1))
        lines = [line for number, line in enumerate(source.split("\n"), 1) if number not in dropped]
        code = "\n".join(lines).strip("\n")
        sections.append(f"# --- {ast.get_docstring(tree)}\n\n{code}\n")
    about = ast.get_docstring(ast.parse((FOLDER / "__init__.py").read_text(encoding="utf-8")), clean=False)
    head = f'"""{about}"""\n\n' + "\n".join(sorted(imports))
    return "\n\n\n".join([head, *sections]) + '\n\nif __name__ == "__main__":\n    sys.exit(main())\n'
