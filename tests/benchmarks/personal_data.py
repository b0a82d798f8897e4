"""How much personal data is found of what generated texts hold, and what is found in real filings that hold next to none."""

import json
import time
from collections import Counter

from backend.personal_data.detection import find
from backend.personal_data.kinds import PersonalKind
from tests.conftest import SHARED_DATA
from tests.personal_data.generated import samples

OF_EACH = 2_000
FILINGS = SHARED_DATA / "financebench/documents.jsonl"
CONTACTS = {PersonalKind.EMAIL, PersonalKind.PHONE}  # the only ones that filings give on purpose, of offices


def main() -> None:
    """Prints recall by kind, and findings by 10,000 words."""
    found, asked = Counter[PersonalKind](), Counter[PersonalKind]()
    for sample in samples(seed=1, of_each=OF_EACH):
        asked[sample.kind] += 1
        found[sample.kind] += any(
            finding.kind is sample.kind and sample.text[finding.start : finding.end] == sample.written
            for finding in find(sample.text)
        )
    for kind in PersonalKind:
        print(f"{kind.value:20} {found[kind] / asked[kind]:.4f} of {asked[kind]:,} generated")
    print(f"{'all':20} {found.total() / asked.total():.4f}")
    if not FILINGS.exists():
        print("The filings are not here.")
        return
    texts = [json.loads(line)["text"] for line in FILINGS.read_text(encoding="utf-8").splitlines()]
    words, started = sum(len(text.split()) for text in texts), time.process_time()
    findings = Counter(finding.kind for text in texts for finding in find(text))
    seconds = time.process_time() - started
    others = sum(count for kind, count in findings.items() if kind not in CONTACTS)
    print(f"filings: {words:,} words, {sum(map(len, texts)) / seconds / 1e6:.1f} million characters a second")
    print(
        f"findings by 10,000 words: {findings.total() / words * 1e4:.2f}, of which no contacts: {others / words * 1e4:.2f}"
    )
    print(dict(findings))


if __name__ == "__main__":
    main()
