"""Usage files, good and bad: every line, row and record is received once, and nothing is guessed."""

# ruff: noqa: ANN401 - options and columns of all types

import csv
import gzip
import hashlib
import io
import json
import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.codecs import Limits, UsageBatch, avro_container, usage_json
from schemas.files import ColumnMapping, read_usage
from schemas.files.lines import Lines, lines_of
from schemas.rejection import Reason, Rejection
from schemas.usage import UsageRecord

Compress = Callable[[bytes], bytes]
START = datetime(2012, 2, 1, 5, tzinfo=UTC)
HEADER = "id,account,meter,start,end,quantity,unit"
TIMES = "2012-02-01T05:00:00Z,2012-02-01T06:00:00Z"


def usage(number: int) -> UsageRecord:
    start = START + timedelta(hours=number)
    return UsageRecord(f"r{number}", "home", "gas", Decimal(number) / 100, start, start + timedelta(hours=1), unit="m3")


USAGES = [usage(number) for number in range(40)]
JSONL = b"".join(usage_json(record) + b"\n" for record in USAGES)
ROWS = [
    f"{record.id},home,gas,{record.start:%Y-%m-%dT%H:%M:%SZ},{record.end:%Y-%m-%dT%H:%M:%SZ},{record.quantity},m3"
    for record in USAGES
]
CSV = ("\n".join([HEADER, *ROWS]) + "\n").encode()


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def read(folder: Path, data: bytes, name: str = "usage", **options: Any) -> UsageBatch:
    """The whole file in one batch."""
    path = folder / name
    path.write_bytes(data)
    whole = UsageBatch("usage")
    for batch in read_usage(path, origin="usage", **options):
        whole.add(batch.records, batch.originals, batch.offsets, batch.lines)
        whole.rejections.extend(batch.rejections)
    offsets = whole.offsets + [rejection.position.offset for rejection in whole.rejections]
    assert sorted(offsets) == list(range(options.get("skip", 0), options.get("skip", 0) + whole.received))
    return whole


def reasons(batch: UsageBatch) -> list[Reason]:
    return [rejection.reason for rejection in batch.rejections]


def lines_with(reason: Reason, rejections: Iterable[Rejection]) -> list[int]:
    return [rejection.position.line for rejection in rejections if rejection.reason == reason]


FORMS = {
    "JSONL": JSONL,
    "CSV": CSV,
    "CSV with carriage returns": CSV.replace(b"\n", b"\r\n"),
    "CSV with a BOM": b"\xef\xbb\xbf" + CSV,
    "CSV all in quotes": b"".join(b'"' + line.replace(b",", b'","') + b'"\n' for line in CSV.splitlines()),
    "CSV with some quotes": CSV.replace(b"home", b'"home"'),
    "CSV with blank lines": CSV.replace(b"\n", b"\n \r\n\n"),
    "JSONL with blank lines and a BOM": b"\xef\xbb\xbf\n" + JSONL.replace(b"\n", b"\n \t\r\n"),
    "Avro": avro_container(USAGES, UsageRecord),
    "Avro, zstandard inside": avro_container(USAGES, UsageRecord, "zstandard"),
}
COMPRESSIONS: dict[str, Compress] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": zstd,
    "gzip in members": lambda data: (
        gzip.compress(data[:999]) + gzip.compress(b"") + gzip.compress(data[999:]) + bytes(9)
    ),
    "zstd in frames": lambda data: zstd(data[:999]) + b"\x50\x2a\x4d\x18\x02\0\0\0ab" + zstd(data[999:]),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_formats_and_compressions_are_told_by_content(form: str, compression: str, tmp_path: Path) -> None:
    batch = read(tmp_path, COMPRESSIONS[compression](FORMS[form]))
    assert batch.rejections == []
    assert batch.records == USAGES


@pytest.mark.parametrize("form", FORMS)
def test_reading_resumes_anywhere_and_does_not_depend_on_the_batch_size(form: str, tmp_path: Path) -> None:
    data = FORMS[form] + (b"not a record\n" if "Avro" not in form else b"not a block")
    path = tmp_path / "usage"
    path.write_bytes(data)
    whole = read(tmp_path, data)
    assert whole.received == 41
    for size, skip in ((1, 0), (7, 0), (7, 5), (100, 39), (3, 40), (3, 41), (3, 99)):
        batches = list(read_usage(path, batch_size=size, skip=skip))
        assert all(batch.received <= size for batch in batches)
        assert all(batch.received == size for batch in batches[:-1])
        assert [record for batch in batches for record in batch.records] == whole.records[skip:]
        assert [offset for batch in batches for offset in batch.offsets] == whole.offsets[skip:]
        assert [line for batch in batches for line in batch.lines] == whole.lines[skip:]
        assert sum(len(batch.rejections) for batch in batches) == (skip < 41)


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"\r\n \n", b"\xef\xbb\xbf", HEADER.encode(), HEADER.encode() + b"\r\n\n"]
)
@pytest.mark.parametrize("name", ["usage", "usage.csv", "usage.jsonl"])
def test_files_without_records(data: bytes, name: str, tmp_path: Path) -> None:
    if not (data.startswith(HEADER.encode()) and name.endswith("jsonl")):
        for compress in COMPRESSIONS.values():
            assert read(tmp_path, compress(data), name).received == 0


def test_positions_and_originals(tmp_path: Path) -> None:
    batch = read(tmp_path, f"{HEADER}\n\n{ROWS[0]}\r\nx,y\n{ROWS[1]}".encode())
    assert (batch.offsets, batch.lines) == ([0, 2], [3, 5])
    assert batch.originals == [ROWS[0].encode() + b"\r", ROWS[1].encode()]
    (rejection,) = batch.rejections
    assert str(rejection.position) == "usage:4"
    assert (rejection.original, rejection.size) == (b"x,y", 3)
    assert rejection.sha256 == hashlib.sha256(b"x,y").hexdigest()
    late = batch.rejection(1, Reason.TOO_LATE, "too late")
    assert (late.original, late.position.line, late.usage_id) == (ROWS[1].encode(), 5, "r1")


def test_the_real_homes() -> None:
    path = Path(__file__).parents[2] / "examples" / "homes.csv.gz"
    batches = list(read_usage(path))
    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(batch.received for batch in batches) == len(rows) == 165_983
    records = [record for batch in batches for record in batch.records]
    assert [(record.id, record.quantity, record.unit) for record in records] == [
        (row["id"], Decimal(row["quantity"]), row["unit"]) for row in rows
    ]


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
@pytest.mark.parametrize("form", ["JSONL", "CSV", "Avro"])
def test_a_truncated_stream_delivers_what_came_before(compress: Compress, form: str, tmp_path: Path) -> None:
    chance = random.Random(5)
    noise = b"".join(
        usage_json(UsageRecord(chance.randbytes(400).hex(), "home", "gas", Decimal(1), START, START)) + b"\n"
        for _ in range(50)
    )
    data = FORMS[form] + noise if form == "JSONL" else FORMS[form]
    whole = read(tmp_path, data)
    stored = compress(data)
    for size in range(4, len(stored) - 1, max(1, len(stored) // 60)):
        batch = read(tmp_path, stored[:size])
        assert batch.records == whole.records[: len(batch.records)]
        assert reasons(batch) == [Reason.TRUNCATED], batch.rejections
        assert batch.rejections[0].original in data


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
def test_a_damaged_stream_stops_with_one_rejection(compress: Compress, tmp_path: Path) -> None:
    stored = bytearray(compress(JSONL))
    stored[-5] ^= 1
    for damaged in (bytes(stored), compress(JSONL) + b"garbage"):
        batch = read(tmp_path, damaged)
        assert batch.records == []  # what a wrong checksum is of cannot be told apart from what was written
        assert reasons(batch) == [Reason.UNREADABLE]
        assert batch.rejections[0].original == damaged


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
@pytest.mark.parametrize("filling", [b" ", b"\n", b"x\n"])
def test_a_bomb_is_oversized_and_stops(compress: Compress, filling: bytes, tmp_path: Path) -> None:
    data = JSONL + filling * (1_500_000 // len(filling))
    limits = Limits(ratio_from_bytes=50_000, max_ratio=10, max_line_bytes=10_000)
    batch = read(tmp_path, compress(data), limits=limits)
    assert batch.records == USAGES
    assert reasons(batch)[-1] == Reason.OVERSIZED
    assert set(reasons(batch)) <= {Reason.OVERSIZED, Reason.UNREADABLE}
    assert batch.received < 40 + 25_000
    batch = read(tmp_path, compress(JSONL * 9), limits=Limits(max_decompressed_bytes=len(JSONL)))
    assert reasons(batch) == [Reason.OVERSIZED]


@pytest.mark.parametrize("form", ["JSONL", "CSV"])
def test_a_long_line_is_oversized_and_the_rest_is_read(form: str, tmp_path: Path) -> None:
    lines = FORMS[form].splitlines(keepends=True)
    for size in (1001, 3_000_000):
        data = b"".join(lines[:9]) + b"{" * size + b"\n" + b"".join(lines[9:])
        batch = read(tmp_path, data, limits=Limits(max_line_bytes=1000, original_cap=64))
        assert batch.records == USAGES
        (rejection,) = batch.rejections
        assert (rejection.reason, rejection.position.line, rejection.size) == (Reason.OVERSIZED, 10, size)
        assert rejection.original == b"{" * 64
        assert rejection.sha256 == hashlib.sha256(b"{" * size).hexdigest()
        batch = read(tmp_path, b"".join(lines) + b"{" * size, limits=Limits(max_line_bytes=1000))
        assert batch.records == USAGES
        assert reasons(batch) == [Reason.OVERSIZED]


@given(st.lists(st.binary(max_size=12), max_size=8), st.integers(1, 9))
def test_lines_are_those_of_the_text(pieces: list[bytes], most: int) -> None:
    def texts() -> Iterable[tuple[int, bytes | int]]:
        for some in lines_of(iter(pieces), Limits(max_line_bytes=most)):
            if isinstance(some, Lines):
                yield from enumerate(some.texts, some.first)
            else:
                assert not isinstance(some.fault.original, bytes)
                yield some.number, some.fault.original.size

    expected = b"".join(pieces).split(b"\n")
    expected = expected if expected[-1] else expected[:-1]
    assert list(texts()) == [
        (number, len(text) if len(text) > most else text) for number, text in enumerate(expected, 1)
    ]


def test_jsonl_holds_usage_and_events_and_bad_lines_alike(tmp_path: Path) -> None:
    event = {"specversion": "1.0", "id": "e", "source": "s", "type": "gas", "subject": "home", "data": {"quantity": 1}}
    lines = [
        usage_json(USAGES[0]),
        json.dumps(event | {"time": "2012-02-01T05:00:00Z"}).encode(),
        b"not json",
        b"\xff\xfe",
        usage_json(USAGES[1])[:-1],
        b"{}",
        usage_json(USAGES[1]),
    ]
    batch = read(tmp_path, b"\n".join(lines) + b"\n")
    assert [record.id for record in batch.records] == ["r0", "e", "r1"]
    assert lines_with(Reason.UNREADABLE, batch.rejections) == [3, 4, 5]
    assert lines_with(Reason.MISSING_FIELD, batch.rejections) == [6]


@pytest.mark.parametrize("form", ["JSONL", "CSV"])
def test_a_plain_file_cut_in_its_last_line_is_truncated(form: str, tmp_path: Path) -> None:
    cut = FORMS[form][:-30]
    batch = read(tmp_path, cut)
    assert batch.records == USAGES[:-1]
    assert reasons(batch) == [Reason.TRUNCATED]
    assert batch.rejections[0].original == cut.rpartition(b"\n")[2]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a,home,gas,{times},1", Reason.UNREADABLE),
        ("a,home,gas,{times},1,m3,", Reason.UNREADABLE),
        ('a,ho"me,gas,{times},1,m3', Reason.UNREADABLE),
        ('a,"home" ,gas,{times},1,m3', Reason.UNREADABLE),
        ('a,"home,gas,{times},1,m3', Reason.UNREADABLE),
        ("a,ho\rme,gas,{times},1,m3", Reason.UNREADABLE),
        (",home,gas,{times},1,m3", Reason.MISSING_FIELD),
        ("a,,gas,{times},1,m3", Reason.MISSING_FIELD),
        ("a,home,,{times},1,m3", Reason.MISSING_FIELD),
        ("a,home,gas,{times},,m3", Reason.MISSING_FIELD),
        ("a,home,gas,,2012-02-01T06:00:00Z,1,m3", Reason.MISSING_FIELD),
        ("a,home,gas,{times},nan,m3", Reason.NOT_FINITE),
        ("a,home,gas,{times},1e999999,m3", Reason.OUT_OF_RANGE),
        ("a,home,gas,2012-02-01T05:00:00,2012-02-01T06:00:00Z,1,m3", Reason.NO_ZONE),
        ("a,home,gas,2012-02-31T05:00:00Z,2012-02-01T06:00:00Z,1,m3", Reason.WRONG_TYPE),
    ],
)
def test_a_bad_row_is_rejected_alone(row: str, reason: Reason, tmp_path: Path) -> None:
    row = row.format(times=TIMES)
    for at in (1, 20, 40):
        lines = [HEADER, *ROWS, ""]
        lines.insert(at, row)
        batch = read(tmp_path, "\n".join(lines).encode())
        assert batch.records == USAGES
        assert lines_with(reason, batch.rejections) == [at + 1], batch.rejections
        assert batch.rejections[0].original == row.encode()


def test_a_row_that_is_not_utf_8_is_rejected_alone(tmp_path: Path) -> None:
    data = CSV.replace(b"r7,home", b"r7,h\xf6me")
    batch = read(tmp_path, data)
    assert len(batch.records) == 39
    assert reasons(batch) == [Reason.UNREADABLE]


def test_quoted_cells_may_hold_commas_quotes_and_newlines(tmp_path: Path) -> None:
    data = f'{HEADER}\n"a,1","ho""me","g\n\nas",{TIMES},"1","m\r\n3"\n{ROWS[0]}\n'.encode()
    batch = read(tmp_path, data)
    assert batch.rejections == []
    first, second = batch.records
    assert (first.id, first.account, first.meter, first.unit) == ("a,1", 'ho"me', "g\n\nas", "m\r\n3")
    assert second == USAGES[0]
    assert batch.lines == [2, 6]
    assert batch.originals[0] == b"\n".join(data.split(b"\n")[1:5])


def test_a_stray_quote_swallows_no_rows(tmp_path: Path) -> None:
    stray = [row.replace(",home", ',"home') if number in {5, 30} else row for number, row in enumerate(ROWS)]
    batch = read(tmp_path, "\n".join([HEADER, *stray]).encode())
    assert [record.id for record in batch.records] == [f"r{number}" for number in range(40) if number not in {5, 30}]
    assert lines_with(Reason.UNREADABLE, batch.rejections) == [7, 32]


def test_an_open_quote_is_given_up_at_the_line_limit(tmp_path: Path) -> None:
    stray = [ROWS[0].replace(",home", ',"home'), *ROWS]
    batch = read(tmp_path, "\n".join([HEADER, *stray, ""]).encode(), limits=Limits(max_line_bytes=300))
    assert batch.records == USAGES
    assert lines_with(Reason.UNREADABLE, batch.rejections) == [2]


def test_many_open_quotes_cost_no_more_than_the_lines(tmp_path: Path) -> None:
    data = (f"{HEADER}\n" + 'a","c"\n' * 20_000 + ',"\n,\n' * 10_000).encode()
    batch = read(tmp_path, data)
    assert batch.records == []
    assert batch.received == 40_000


cells = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=4) | st.sampled_from(
    ['"', ",", "\n", '",']
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=5),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_rows_are_those_of_the_csv_module(
    rows: list[tuple[str, str, str]], quoting: Literal[0, 1], end: str, tmp_path: Path
) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, quoting=quoting, lineterminator=end)
    writer.writerow(["id", "account", "note", "other"])
    writer.writerows([(f"i{number}", *row) for number, row in enumerate(rows)])
    text = stream.getvalue()
    expected = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    constants = {"meter": "gas", "quantity": "1", "start": "2012-02-01T05:00:00Z", "end": "2012-02-01T05:00:00Z"}
    batch = read(tmp_path, text.encode(), mapping=ColumnMapping(constants=constants))
    accepted = [row for row in expected if row["account"]]
    assert [(record.id, record.account, (record.attributes or {}).get("note", "")) for record in batch.records] == [
        (row["id"], row["account"], row["note"]) for row in accepted
    ]
    assert reasons(batch) == [Reason.MISSING_FIELD] * (len(expected) - len(accepted))


@pytest.mark.parametrize(
    ("header", "reason", "words"),
    [
        ("id,account,meter,start,end,quantity,id", Reason.UNREADABLE, "'id' occurs twice"),
        ("id,account,meter,start,end,quantity,", Reason.UNREADABLE, "no name"),
        ("id,account,meter,start,end,quantity,attributes", Reason.UNKNOWN_FIELD, "attributes"),
        ("id,customer,meter,start,end,quantity,unit", Reason.MISSING_FIELD, "account"),
    ],
)
def test_under_a_wrong_header_every_row_is_rejected(header: str, reason: Reason, words: str, tmp_path: Path) -> None:
    batch = read(tmp_path, "\n".join([header, *ROWS]).encode())
    assert reasons(batch) == [reason] * 40
    assert words in batch.rejections[0].message
    assert batch.rejections[3].original == ROWS[3].encode()


def test_a_file_without_a_header_loses_no_row(tmp_path: Path) -> None:
    batch = read(tmp_path, "\n".join(ROWS).encode())
    assert reasons(batch) == [Reason.UNREADABLE] * 40
    assert [rejection.original for rejection in batch.rejections] == [row.encode() for row in ROWS]


def test_voids_and_optional_fields_in_csv(tmp_path: Path) -> None:
    data = f"{HEADER},source,tenant,session,corrects,region\n" + "\n".join(
        [f"a,home,gas,{TIMES},,,,,,r0,", f"b,home,gas,{TIMES},1,m3,amr,acme,s1,,north", f"c,home,gas,{TIMES},1,,,,,,"]
    )
    void, full, plain = read(tmp_path, data.encode()).records
    assert (void.quantity, void.corrects, void.unit, void.source, void.attributes) == (
        None,
        "r0",
        None,
        "default",
        None,
    )
    assert (full.source, full.tenant, full.session, full.attributes) == ("amr", "acme", "s1", {"region": "north"})
    assert plain == UsageRecord("c", "home", "gas", Decimal(1), START, START + timedelta(hours=1))


def test_a_mapping_names_columns_and_constants(tmp_path: Path) -> None:
    mapping = ColumnMapping({"account": "LCLid", "quantity": "kWh", "meter": "fuel"}, {"source": "amr", "unit": "kWh"})
    data = f"id,LCLid,fuel,start,end,kWh,meter\n1,MAC1,electricity,{TIMES},0.5,serial7\n"
    (record,) = read(tmp_path, data.encode(), mapping=mapping).records
    assert (record.account, record.meter, record.quantity) == ("MAC1", "electricity", Decimal("0.5"))
    assert (record.source, record.unit, record.attributes) == ("amr", "kWh", {"meter": "serial7"})
    batch = read(tmp_path, data.replace("kWh", "kwh").encode(), mapping=mapping)
    assert reasons(batch) == [Reason.MISSING_FIELD]
    assert "'kWh'" in batch.rejections[0].message


def test_a_wrong_mapping_or_argument_raises(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'kwh'"):
        ColumnMapping({"kwh": "quantity"})
    with pytest.raises(ValueError, match="remove one"):
        ColumnMapping({"unit": "u"}, {"unit": "kWh"})
    with pytest.raises(ValueError, match="without a column mapping"):
        read(tmp_path, JSONL, mapping=ColumnMapping({"account": "a"}))
    for wrong in ({"batch_size": 0}, {"skip": -1}):
        with pytest.raises(ValueError, match="at least"):
            read_usage(tmp_path / "usage", **wrong)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        list(read_usage(tmp_path / "absent.csv"))


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, **options)
    return stream.getvalue()


def table(rows: int = 40, **columns: Any) -> dict[str, Any]:
    usages = [usage(number) for number in range(rows)]
    return {
        "id": [record.id for record in usages],
        "account": ["home"] * rows,
        "meter": ["gas"] * rows,
        "start": pa.array([record.start for record in usages], pa.timestamp("ms", "America/New_York")),
        "end": pa.array([record.end for record in usages], pa.timestamp("ns", "UTC")),
        "quantity": pa.array([record.quantity for record in usages], pa.decimal128(10, 2)),
        "unit": ["m3"] * rows,
    } | columns


def test_parquet_reads_all_row_groups_and_resumes(tmp_path: Path) -> None:
    data = parquet(table(20_000), row_group_size=6000)
    expected = [usage(number) for number in range(20_000)]
    assert read(tmp_path, data).records == expected
    assert read(tmp_path, data, skip=15_000, batch_size=999).records == expected[15_000:]


@pytest.mark.parametrize(
    ("quantities", "expected"),
    [
        (pa.array([0.1, 1e22, 0.028999999999999998]), ["0.1", "1E+22", "0.028999999999999998"]),
        (pa.array([0.1, 16777216.0, 3.4e38], pa.float32()), ["0.1", "16777216", "3.4E+38"]),
        (pa.array([1, -2, 2**62]), ["1", "-2", str(2**62)]),
        (pa.array(["1.50", "-1e3", "7"]), ["1.50", "-1E+3", "7"]),
        (pa.array(["1", "NaN", "x"]), ["1", Reason.NOT_FINITE, Reason.WRONG_TYPE]),
        (pa.array([float("nan"), float("inf"), None]), [Reason.NOT_FINITE, Reason.NOT_FINITE, Reason.MISSING_FIELD]),
        (
            pa.array([Decimal(1), Decimal(10) ** 65, None], pa.decimal256(76, 6)),
            ["1", Reason.OUT_OF_RANGE, Reason.MISSING_FIELD],
        ),
        (pa.array([True, False, None]), [Reason.WRONG_TYPE, Reason.WRONG_TYPE, Reason.MISSING_FIELD]),
    ],
)
def test_parquet_quantities(quantities: pa.Array, expected: list[Any], tmp_path: Path) -> None:
    batch = read(tmp_path, parquet(table(3, quantity=quantities)))
    assert [record.quantity for record in batch.records] == [
        Decimal(text) for text in expected if isinstance(text, str) and not isinstance(text, Reason)
    ]
    assert reasons(batch) == [reason for reason in expected if isinstance(reason, Reason)]


@pytest.mark.parametrize(
    ("starts", "reason"),
    [
        (pa.array([START.replace(tzinfo=None)], pa.timestamp("us")), Reason.NO_ZONE),
        (pa.array(["2012-02-01T05:00:00"]), Reason.NO_ZONE),
        (pa.array([START.date()]), Reason.WRONG_TYPE),
        (pa.array([1_328_072_400]), Reason.WRONG_TYPE),
        (pa.array([2**60], pa.timestamp("ms", "UTC")), Reason.OUT_OF_RANGE),
    ],
)
def test_parquet_instants_need_a_zone(starts: pa.Array, reason: Reason, tmp_path: Path) -> None:
    batch = read(tmp_path, parquet(table(1, start=starts)))
    assert reasons(batch) == [reason]
    assert json.loads(batch.rejections[0].original)["id"] == "r0"


def test_parquet_attributes_and_whole_numbers(tmp_path: Path) -> None:
    columns = table(
        2,
        id=[1, 2],
        region=["north", None],
        phases=[3, 1],
        solar=[True, None],
        since=[START.date(), None],
        attributes=pa.array([[("a", "1")], None], pa.map_(pa.string(), pa.string())),
    )
    first, second = read(tmp_path, parquet(columns)).records
    assert first.attributes == {"a": "1", "region": "north", "phases": "3", "solar": "true", "since": "2012-02-01"}
    assert (second.id, second.attributes) == ("2", {"phases": "1"})
    batch = read(tmp_path, parquet(columns | {"a": ["x", None]}))
    assert reasons(batch) == [Reason.UNREADABLE]
    mapped = read(tmp_path, parquet(table(1)), mapping=ColumnMapping({"session": "unit"}, {"unit": "kWh"})).records
    assert (mapped[0].session, mapped[0].unit, mapped[0].attributes) == ("m3", "kWh", None)


def test_under_wrong_parquet_columns_every_row_is_rejected(tmp_path: Path) -> None:
    columns = table(3)
    del columns["account"]
    batch = read(tmp_path, parquet(columns))
    assert reasons(batch) == [Reason.MISSING_FIELD] * 3
    assert b"r2" in batch.rejections[2].original
    twice = pa.table([[1], [2]], names=["id", "id"])
    stream = io.BytesIO()
    pq.write_table(twice, stream)
    assert reasons(read(tmp_path, stream.getvalue())) == [Reason.UNREADABLE]


def test_damaged_parquet(tmp_path: Path) -> None:
    data = parquet(
        table(3000, account=[f"a{number}" for number in range(3000)]), row_group_size=1000, compression="snappy"
    )
    batch = read(tmp_path, data[:-9], limits=Limits(original_cap=10))
    assert reasons(batch) == [Reason.TRUNCATED]
    assert (batch.rejections[0].size, batch.rejections[0].original) == (len(data) - 9, data[:10])
    broken = bytearray(data)
    broken[len(data) // 3 : len(data) // 3 + 200] = bytes(200)
    batch = read(tmp_path, bytes(broken))
    assert len(batch.records) >= 1000
    assert Reason.UNREADABLE in reasons(batch)
    batch = read(tmp_path, data, limits=Limits(ratio_from_bytes=10, max_decompressed_bytes=10))
    assert reasons(batch) == [Reason.OVERSIZED] * 3
    assert read(tmp_path, parquet(table(0))).received == 0
    assert reasons(read(tmp_path, gzip.compress(data))) == [Reason.UNREADABLE]


@pytest.mark.parametrize("form", ["JSONL", "CSV", "CSV with some quotes"])
def test_whatever_bytes_change_every_line_is_received_once(form: str, tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    whole = FORMS[form]
    body = whole.index(b"\n") + 1 if "CSV" in form else 0
    quotes_only = b"\"',x{}\xff0\\"
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(body, len(data))
            if data[at] != ord("\n"):
                data[at] = chance.choice(quotes_only)
        batch = read(tmp_path, bytes(data))
        if form == "JSONL":
            assert batch.received == 40
        else:
            heights = sum(original.count(b"\n") for original in batch.originals)
            assert batch.received + heights == 40
        assert all(record.start.tzinfo is UTC for record in batch.records)


@pytest.mark.parametrize("form", ["JSONL", "CSV", "CSV all in quotes"])
def test_whatever_is_cut_off_the_lines_before_are_read(form: str, tmp_path: Path) -> None:
    whole = FORMS[form]
    header = 0 if form == "JSONL" else 1
    for size in range(len(HEADER) + 20, len(whole), 29):
        data = whole[:size]
        batch = read(tmp_path, data)
        lines = [line for line in data.split(b"\n") if line]
        assert batch.received == len(lines) - header
        complete = data.count(b"\n") - header
        assert batch.records[:complete] == USAGES[:complete]
