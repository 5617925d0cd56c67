"""Archive: a proof from what ClickHouse has kept, and what it may say where usage is missing."""

from msgspec.structs import replace

from agents.errors import NoAnswerError
from agents.proving.history import UnknownHistoryError, archived
from agents.proving.proof import Proof, Subject, prove, prove_charges
from agents.proving.stored import Stored, stored
from schemas.account import Account
from sinks import archive_reads
from sinks.archive_reads import Readable


def subject_of(sink: Readable, tenant: str, account: str, period: str) -> Subject:
    """The billing period of that name. Raises NoAnswerError where there is no such account or period."""
    document = archive_reads.account_document(sink, tenant, account)
    if document is None:
        raise NoAnswerError(f"no account {account!r} of tenant {tenant!r} in ClickHouse. Is the sink running?")
    try:
        return Subject.of(Account.model_validate_json(document), period)
    except ValueError as error:
        raise NoAnswerError(f"account {account}: {error}") from None


def prove_archived(sink: Readable, subject: Subject) -> Proof:
    """The proof, with the usage of the archive. Raises NoAnswerError where there is no statement, and none to come."""
    kept = stored(sink, *subject.name)
    try:
        history = archived(sink, subject.name)
    except UnknownHistoryError as error:
        return prove_unknown(subject, kept, str(error))
    proof = checked(subject, prove(subject, kept, history, "archive"))
    if _lacks_usage(proof):
        first = archive_reads.first_archived(sink, history.partition)
        if first is None or first:
            before = "" if first is None else f"before offset {first} "
            where = f"usage {before}of partition {history.partition} is not in the archive"
            return replace(proof, missing=f"{where}. If the topic still has it: ratestream prove --from topic")
    return with_known_versions(proof, kept, {document.key for document in history.documents})


def prove_unknown(subject: Subject, kept: Stored, why: str) -> Proof:
    """What can be said of the period's last revision without the usage. Raises NoAnswerError where there is none."""
    rows = [row for each in kept.rows(subject.start).values() for row in each]
    found = kept.of_period(subject.start)
    if not found:
        raise _no_statement(subject)
    return prove_charges(found[-1], subject.calendar.name(subject.start), rows, why)


def checked(subject: Subject, proof: Proof) -> Proof:
    """The proof. Raises NoAnswerError where it is about nothing."""
    if not proof.statements:
        raise _no_statement(subject)
    return proof


def _no_statement(subject: Subject) -> NoAnswerError:
    name = subject.calendar.name(subject.start)
    return NoAnswerError(
        f"account {subject.name[1]} has no statement of {name}, and its usage makes none: the period is open, or not "
        "its own. Its running bill: ratestream report bill"
    )


def with_known_versions(proof: Proof, kept: Stored, keys: set[bytes | None]) -> Proof:
    """The same, or why it cannot be known where charges name tariff versions that nobody has."""
    rows = [row for each in kept.rows(proof.start).values() for row in each]
    named = {(row.tariff, row.version) for row in rows if row.tariff}
    lacking = sorted(f"{tariff} {version}" for tariff, version in named if f"{tariff}@{version}".encode() not in keys)
    if not lacking or not proof.charges or proof.missing:
        return proof
    return replace(
        proof, missing=f"charges name tariff versions that are not among the documents: {', '.join(lacking)}"
    )


def _lacks_usage(proof: Proof) -> bool:
    return any(not found.refused for found in proof.usage)
