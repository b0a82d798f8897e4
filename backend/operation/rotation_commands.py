"""`affidavit keys …` and `affidavit context-key …`: which keys are in use, and how one takes another's place."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from backend.command_output import CommandFailed, CommandGroup, CommandResult, progress
from backend.operation.command_line import (
    as_owner,
    needed,
    owner_address,
    read_settings,
    run_operator,
    runtime_address,
    secret,
)  # fmt: skip
from backend.operation.exchange.folder import KeyKind, SecretsFolder
from backend.settings import Settings

keys_app = CommandGroup(help="See which keys are in use, and exchange them.")
context_key_app = CommandGroup(help="Exchange the key that signs contexts, while the service runs.")


@keys_app.command("status")
def keys_status(
    folder: Annotated[
        Path | None, typer.Argument(help="The folder of secrets, to tell what is exchanged there.")
    ] = None,
) -> CommandResult:
    """Say which keys are in use, since when, and what still depends on an earlier one; changes nothing.

    Exit status 1 says that something is wrapped by a key that is not configured.

    Example: affidavit keys status infra/secrets --json
    """
    from backend.audit.search_words import SearchWords  # noqa: PLC0415 - loads what --help does not need
    from backend.operation import key_status, rehashing  # noqa: PLC0415

    words = SearchWords(*_search_keys(read_settings()))
    told = {
        **as_owner(key_status.of_database),
        "wrapped": _rewrap(only_count=True),
        "words": as_owner(lambda owner: rehashing.counted(owner, words)),
    }
    if folder is not None:
        told["secrets"] = key_status.of_folder(_secrets_folder(folder))
    unknown = any(found["unknown"] for found in told["wrapped"].values())
    return CommandResult(told, list(key_status.lines(told)), status=1 if unknown else 0)


@keys_app.command("rotate")
def keys_rotate(
    folder: Annotated[Path, typer.Argument(help="The folder of secrets that `affidavit init` made.")],
    kind: Annotated[
        list[KeyKind] | None, typer.Option(help="A kind; repeat for more. By default those that are under way, or all.")
    ] = None,
) -> CommandResult:
    """Take the exchange of keys one step further: learn, write, forget. Replace the processes after each step.

    Nothing fails meanwhile, and no session ends. A step that was interrupted can be taken again. Run it where the folder and
    the database can be reached, with the settings of AWS KMS or Vault if one of them wraps keys.

    Example: affidavit keys rotate infra/secrets --kind tokens --kind passwords
    """
    from backend.operation.exchange.service import Step, advance, under_way  # noqa: PLC0415

    exchanged = _secrets_folder(folder)
    names = list(dict.fromkeys(kind or under_way(exchanged) or KeyKind))
    taken = run_operator(advance(exchanged, read_settings(), names))
    over = all(step is Step.FORGET for step in taken.values())
    again = "Then the exchange is over." if over else "Then run this again."
    if taken.get(KeyKind.SEARCH) is Step.FORGET:
        again += " `affidavit keys rehash` then takes away what the old search key left."
    then = f"Now replace serve, worker and sealer, so that they read {folder} anew. {again}"
    return CommandResult(taken, [*(f"{name}: {step}" for name, step in taken.items()), then])


@keys_app.command("rewrap")
def keys_rewrap() -> CommandResult:
    """Wrap anew what an earlier payload key, AWS KMS or Vault wrapped; can be interrupted and run again.

    Example: AFFIDAVIT_PAYLOAD_KEY=new… AFFIDAVIT_PAYLOAD_OTHER_KEYS='["old…"]' affidavit keys rewrap
    """
    counted = _rewrap(only_count=False)
    unknown = sum(found["unknown"] for found in counted.values())
    words = [f"{name}: {one['earlier']} wrapped anew, {one['current']} were already." for name, one in counted.items()]
    if unknown:
        words.append(f"{unknown} are wrapped by a key that is not configured.")
    return CommandResult(counted, words, status=1 if unknown else 0)


@keys_app.command("rehash")
def keys_rehash() -> CommandResult:
    """Bring the words by which texts are found to the search keys that are set; can be interrupted and run again.

    Exit status 1 says that some texts cannot be opened with the payload keys that are set, and kept the words that they had.

    Example: AFFIDAVIT_SEARCH_KEY=old… AFFIDAVIT_SEARCH_OTHER_KEYS='["new…"]' affidavit keys rehash
    """
    done = run_operator(_rehash())
    words = [f"Words of {done['changed']} texts were hashed anew, those of {done['current']} were already."]
    if done["unreadable"]:
        words.append(f"{done['unreadable']} texts cannot be opened.")
    return CommandResult(done, words, status=1 if done["unreadable"] else 0)


async def _rehash() -> dict[str, int]:
    from backend.operation.rehashing import opened  # noqa: PLC0415 - loads what --help does not need

    settings = read_settings()
    addresses = owner_address(settings), runtime_address(settings)
    keys = secret(settings, "context_key"), secret(settings, "payload_key")
    with progress() as bar:
        task = bar.add_task("texts", total=None)
        async with opened(settings, *addresses, *keys, _search_keys(settings)) as rehashing:
            return asdict(await rehashing.run(lambda done: bar.update(task, completed=done)))


def _search_keys(settings: Settings) -> list[str]:
    """Returns the key by whose hashes texts are found, and others that also hash."""
    first = settings.search_key.get_secret_value() if settings.search_key else secret(settings, "payload_key")
    return [first, *(key.get_secret_value() for key in settings.search_other_keys)]


def _rewrap(*, only_count: bool) -> dict[str, dict[str, int]]:
    async def run() -> dict[str, dict[str, int]]:
        from backend.operation.rotation import all_wrapped, rewrap  # noqa: PLC0415 - loads what --help does not need

        counted, settings = {}, read_settings()
        secrets = (secret(settings, "payload_key"), *(key.get_secret_value() for key in settings.payload_other_keys))
        with progress() as bar:
            async with all_wrapped(settings, owner_address(settings), secrets) as (owner, all_kinds):
                for kind in all_kinds:
                    task = bar.add_task(kind.name, total=None)

                    def count(done: int, task: int = task) -> None:
                        bar.update(task, completed=done)  # type: ignore[arg-type]

                    found = await rewrap(owner, kind, count, only_count=only_count)
                    counted[kind.name] = {str(which): number for which, number in found.items()}
        return counted

    return run_operator(run())


@context_key_app.command("add")
def context_key_add() -> CommandResult:
    """Have the database verify contexts of AFFIDAVIT_CONTEXT_KEY as well; then give it to the processes, one by one.

    Example: AFFIDAVIT_CONTEXT_KEY_FILE=new-context-key affidavit context-key add
    """
    from backend.operation import rotation  # noqa: PLC0415
    from backend.tenancy import ContextSigner  # noqa: PLC0415

    (key,) = needed(read_settings(), "context_key")
    key_id = as_owner(lambda owner: rotation.add_context_key(owner, ContextSigner(key)))
    return CommandResult({"id": key_id}, key_id)


@context_key_app.command("retire")
def context_key_retire(
    key_id: Annotated[str, typer.Argument(help="The id, as `affidavit keys status` shows it.")],
) -> CommandResult:
    """End a context key that no process signs with any more, in two minutes; never the last one.

    Example: affidavit context-key retire 4f1c0a9b7d3e2c55
    """
    from backend.operation import rotation  # noqa: PLC0415

    ends = as_owner(lambda owner: rotation.retire_context_key(owner, key_id))
    return CommandResult({"id": key_id, "ends": ends}, f"{key_id} ends at {ends:%Y-%m-%d %H:%M %Z}.")


def _secrets_folder(path: Path) -> SecretsFolder:
    folder = SecretsFolder(path)
    if not folder.is_one:
        raise CommandFailed(f"{path} is no folder that `affidavit init` made")
    return folder
