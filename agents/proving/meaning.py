"""Meaning: what differences may come from, as three tell of the same money: the charges, the statement, the usage.

Where two of them agree, the third one is most likely what was changed. It is no more than that: a sentence for whoever
looks into it.
"""

from collections.abc import Iterator

from agents.proving.proof import Proof, Verdict

_OF_CHARGES = "The topic charges has them as they were: fill another database from there, and compare."
_OF_STATEMENTS = "The topic statements has it as it was: fill another database from there, and compare."


def meaning(proof: Proof) -> Iterator[str]:
    """What the differences may mean, and what to do; nothing where there are none."""
    if proof.verdict is Verdict.PROVED:
        return
    if proof.missing:
        yield f"{proof.missing[:1].upper()}{proof.missing[1:]}. What the rest comes to proves nothing."
        return
    if proof.origin == "nothing":
        yield (
            "Charges and statement disagree: rows were lost, doubled or changed after they were written, or late usage "
            "has joined a statement whose next revision is still to come."
        )
        return
    for found in proof.usage:
        what = f"was not accepted this time: {found.refused}" if found.refused else f"is not in the {proof.origin}."
        yield f"Usage {found.source}/{found.usage_id} is charged and {what}"
    yield from _who_is_alone(proof)
    yield from proof.documents


def _who_is_alone(proof: Proof) -> Iterator[str]:
    both = [each for each in proof.statements if each.stored is not None and each.replayed is not None]
    if any(each.stored is None for each in proof.statements):
        yield "The usage makes a statement that is not stored: it was lost, the sink is behind, or closing goes on."
    if any(each.replayed is None for each in proof.statements):
        yield "A statement in ClickHouse does not come of this usage: somebody else wrote it, or usage is missing."
    usage_agrees = all(each.stored == each.replayed for each in both)
    charges_agree = all(one.by == "usage" for each in both for one in each.differences)
    if proof.charges and usage_agrees:
        yield f"Statement and usage agree: rows of charges were lost, doubled or changed in ClickHouse. {_OF_CHARGES}"
    elif proof.charges and charges_agree:
        yield (
            f"Charges and statement agree: the {proof.origin} has not the usage that was rated, or this version of the "
            "program rates it otherwise (the changelog says so under Amounts)."
        )
    elif proof.charges:
        yield "Charges, statement and usage all disagree: more than one of them was changed."
    elif not usage_agrees:
        yield f"Charges and usage agree: the statement was changed in ClickHouse. {_OF_STATEMENTS}"
