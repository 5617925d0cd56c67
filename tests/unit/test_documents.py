"""Reading a YAML or JSON file: what its values become, where they stand, and what is refused."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from schemas.documents import DEPTH_LIMIT, FILE_LIMIT, read_documents
from schemas.node import path_text


def written(tmp_path: Path, content: str | bytes) -> Path:
    file = tmp_path / "t.yaml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.10", Decimal("1.10")),
        (".5", Decimal("0.5")),
        ("-1e-3", Decimal("-0.001")),
        ("0.1000000000000000055511151231257827", Decimal("0.1000000000000000055511151231257827")),
        ("7", 7),
        ("+7", 7),
        ("2012-02-29", date(2012, 2, 29)),
        ("null", None),
        ("~", None),
        ("true", True),
        ('"1.10"', "1.10"),
        ("'2012-02-29'", "2012-02-29"),
        # What YAML 1.1 would turn into something else.
        ("no", "no"),
        ("on", "on"),
        ("12:00", "12:00"),
        ("2013-05", "2013-05"),
        ("007", "007"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        (".nan", ".nan"),
        (".inf", ".inf"),
        ("2012-02-30", "2012-02-30"),
        ("2012-02-01T00:00:00Z", "2012-02-01T00:00:00Z"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_only_null_truth_numbers_and_dates_are_more_than_text(tmp_path: Path, text: str, value: object) -> None:
    documents, problems = read_documents(written(tmp_path, f"key: {text}\n"))
    assert problems == []
    plain = documents[0].root.plain()
    assert plain == {"key": value}
    assert isinstance(plain, dict)
    assert type(plain["key"]) is type(value)


def test_json_is_read_by_the_same_rules(tmp_path: Path) -> None:
    documents, problems = read_documents(written(tmp_path, '{\n\t"a": [1, 2.50, "x\\n"],\n\t"b": {"c": null}}\n'))
    assert problems == []
    assert documents[0].root.plain() == {"a": [1, Decimal("2.50"), "x\n"], "b": {"c": None}}


def test_each_path_has_the_line_of_its_key(tmp_path: Path) -> None:
    text = "a:\n  b:\n    - x\n    - c: 1\n---\n\ne: &e {f: 2}\ng: *e\n"
    documents, problems = read_documents(written(tmp_path, text))
    assert problems == []
    first, second = documents
    paths = [("a",), ("a", "b"), ("a", "b", 0), ("a", "b", 1, "c"), ("a", "missing", "below")]
    assert [first.problem(path, "", "").line for path in paths] == [1, 2, 3, 4, 1]
    assert [second.problem(path, "", "").line for path in [("e", "f"), ("g",)]] == [7, 8]


def test_a_byte_order_mark_and_empty_documents_are_skipped(tmp_path: Path) -> None:
    documents, problems = read_documents(written(tmp_path, b"\xef\xbb\xbf---\n---\na: 1\n---\n"))
    assert (len(documents), problems) == (1, [])


def test_anchors_repeat_what_they_name(tmp_path: Path) -> None:
    documents, _ = read_documents(written(tmp_path, "a: &x [1, 2]\nb: *x\n"))
    assert documents[0].root.plain() == {"a": [1, 2], "b": [1, 2]}


def bomb() -> str:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    return "\n".join(levels)


REFUSED = [
    ("duplicate key", "a: 1\nb: 2\na: 3\n", 3, "a", "on lines 1 and 3", "remove one"),
    ("duplicate key below", "x:\n  - {a: 1}\n  - {a: 1, a: 2}\n", 3, "x[1].a", "on lines 3 and 3", "remove one"),
    ("syntax", "a: [1, 2\nb: 3\n", 2, "", "not valid YAML", "bracket"),
    ("tab", "a:\n\tb: 1\n", 2, "", "not valid YAML", "a tab"),
    ("tag", "a: 1\nb: !!python/object:os.system x\n", 2, "b", "python/object", "remove it"),
    ("float tag", "a: !!float 0.1\n", 1, "a", "YAML tag", "quote"),
    ("alias of nothing", "a: 1\nb: *x\n", 2, "b", "no complete anchor &x", "define it earlier"),
    ("alias of itself", "a: &x\n  - *x\n", 2, "a[0]", "no complete anchor &x", "define it earlier"),
    ("alias bomb", bomb(), 6, "a5", "more than 1,000,000 values", "split it"),
    ("key that is a list", "[1, 2]: 3\n", 1, "", "a key must be a word", "key: value"),
    ("not UTF-8", b"a: 1\nb: \xe9t\xe9\n", 2, "", "not UTF-8 (byte 0xe9)", "save the file as UTF-8"),
    ("control character", "a: 1\nb: \x07\n", 2, "", "a control character (U+0007)", "remove it"),
    ("too deep", "[" * (DEPTH_LIMIT + 2), 1, "[0]" * (DEPTH_LIMIT + 1), "levels deep", "flatter"),
    ("much too deep", "[" * 100_000, 1, "[0]" * (DEPTH_LIMIT + 1), "levels deep", "flatter"),
    ("empty", "# nothing\n", 0, "", "nothing in the file", "write a document"),
    ("too large", b"#" * (FILE_LIMIT + 1), 0, "", "larger than 8 MiB", "split it"),
]


@pytest.mark.parametrize(
    ("content", "line", "path", "what", "remedy"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_bad_file_is_refused(
    tmp_path: Path, content: str | bytes, line: int, path: str, what: str, remedy: str
) -> None:
    documents, problems = read_documents(written(tmp_path, content))
    assert documents == []
    assert [(problem.line, problem.path) for problem in problems] == [(line, path)]
    assert what in str(problems[0])
    assert remedy in problems[0].remedy


def test_many_small_bombs_in_one_file_are_one_bomb(tmp_path: Path) -> None:
    small = bomb().split("\na5")[0]
    _, problems = read_documents(written(tmp_path, "\n---\n".join([small] * 10)))
    assert ["more than 1,000,000 values" in problem.what for problem in problems] == [True]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    _, problems = read_documents(tmp_path / "none.yaml")
    assert str(problems[0]) == (
        f"{tmp_path}/none.yaml: cannot be read (No such file or directory) - give a file that is readable"
    )


def test_all_repeated_keys_are_told(tmp_path: Path) -> None:
    _, problems = read_documents(written(tmp_path, "a: 1\na: 1\na: 1\nb: {c: 1, c: 2}\n"))
    assert [problem.line for problem in problems] == [2, 3, 4]


def test_a_hostile_value_is_shown_short_and_on_one_line(tmp_path: Path) -> None:
    documents, _ = read_documents(written(tmp_path, f'a: "\\e[31m\\n{"x" * 500}"\n'))
    value = documents[0].problem(("a",), "", "").value
    assert len(value) < 70
    assert value.isprintable()
    assert value.endswith('..."')


def test_a_path_with_odd_keys_is_quoted() -> None:
    assert path_text(("meters", "a.b", "tiers", 2)) == 'meters["a.b"].tiers[2]'
