"""JSONL: one usage record or CloudEvent as a JSON object on each line. A blank line is no record."""

from collections.abc import Iterator

from schemas.codecs.fields import Refusal
from schemas.codecs.usage_json import usage_from_json
from schemas.files.lines import BadLine, Lines
from schemas.files.piece import Piece, Results, fault_piece, text_piece
from schemas.rejection import Reason


def jsonl_pieces(lines: Iterator[Lines | BadLine]) -> Iterator[Piece]:
    """The records of a JSONL file."""
    for some in lines:
        if isinstance(some, BadLine):
            yield fault_piece(some.fault, some.number)
            continue
        texts, numbers = some.filled()
        read = _read_last if some.unterminated else _read
        yield text_piece(read, texts, numbers)


def _read(texts: list[bytes]) -> Results:
    return list(map(usage_from_json, texts))


def _read_last(texts: list[bytes]) -> Results:
    """The last line, which has no newline: an object without its closing brace was cut off."""
    results = _read(texts)
    if any(isinstance(result, Refusal) for result in results) and not texts[0].rstrip().endswith(b"}"):
        what = "the file ends in the middle of its last line"
        return [Refusal(Reason.TRUNCATED, f"{what}. Transfer the file again: what was accepted before counts once")]
    return results
