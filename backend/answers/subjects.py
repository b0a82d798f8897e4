"""What questions are about: the sides of a contrast, products that nothing stands in for, words that say the same."""

import re

from backend.language import terms

# Of each line a question is about one side: what is said of the other alone is no answer to it.
CONTRASTS = tuple(
    tuple(re.compile(rf"\b(?:{side})\b", re.IGNORECASE) for side in line)
    for line in (
        (r"debit(?: cards?)?", r"credit[- ]cards?"),
        (r"domestic", r"international|foreign|abroad|overseas|cross-border|remittances?"),
        (r"incoming", r"outgoing"),
        (
            r"personal(?! (?:info|data|loan|line))|individuals?|private customers?",
            r"company|companies|business(?:es)?(?! days?)|corporat\w+|(?:legal )?entit(?:y|ies)|firms?|llc",
        ),
        (r"checking|everyday", r"savings"),
        (r"federal(?: direct)?(?: student)? loans?", r"private(?: student)? loans?"),
        (r"deposit(?:s|ed|ing)?", r"withdraw\w*"),
        (r"buy(?:ing|er)?", r"sell(?:ing|er)?"),
        (r"fixed", r"adjustable|variable"),
        (r"online", r"mobile"),
        (r"home ?owners|homes?|houses?", r"autos?|cars?|vehicles?"),
        (r"opt(?:ing|ed)? out|opt-out", r"opt(?:ing|ed)? in|opt-in"),
    )
)  # fmt: skip
# What a question can be about that no other thing stands in for; each with its other names.
PRODUCTS = tuple(
    re.compile(rf"\b(?:{names})\b", re.IGNORECASE)
    for names in (
        r"reverse mortgages?|hecm", r"mortgages?|home loans?", r"auto loans?|car loans?|vehicle loans?", r"student loans?",
        r"pay ?day loans?", r"credit cards?|cards?", r"debit cards?|cards?", r"pre-?paid(?: cards?)?|prepaid", r"gift cards?",
        r"safe deposit box(?:es)?", r"wires?(?: transfers?)?|transfers?", r"overdrafts?|overdrawn",
        r"certificates? of deposit|cds?",
        r"stop[- ]payments?", r"cashier'?s'? checks?", r"money orders?", r"credit reports?|consumer reports?", r"credit scores?",
        r"escrow", r"insurance", r"lease|leasing", r"home equity|heloc", r"remittances?|transfers?",
        r"debt collect\w+|collectors?",
        r"paper statements?", r"earthquakes?", r"floods?", r"mold", r"roofs?", r"bankruptc\w+", r"garnish\w+", r"refinanc\w+",
        r"appraisals?", r"foreclos\w+", r"closing (?:costs?|disclosures?)", r"identity theft|identity", r"crypto\w*|bitcoins?",
    )
)  # fmt: skip

# Words that say the same in a question and in its answer.
SAME = tuple(
    frozenset(terms.stems(words))
    for words in (
        "avoid waive waived", "cost fee charge price", "document identification certificate", "hit match",
        "company business entity corporation", "approve decide authorize settle", "dispute claim contest", "cancel recall stop",
        "send transfer wire", "need require must", "begin start open", "pay payment paid", "refund reimburse credit",
        "loan lend borrow", "house home property", "car vehicle auto", "kept keep retain retention", "limit maximum most",
        "due deadline", "stolen lost unauthorized", "old age", "decide decision", "prove proof show", "complain complaint",
        "stop end opt", "fix correct error", "check verify", "lose lost loss", "quickly soon fast time",
    )
)  # fmt: skip
