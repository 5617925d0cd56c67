"""The table: how many cases of each source and of each model are right."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from tests.accuracy.checking import Verdict


def table_lines(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """The table, by source and by model, and the sum."""
    yield from _counted("source", verdicts, lambda verdict: verdict.case.source)
    yield ""
    yield from _counted("model", verdicts, lambda verdict: verdict.case.model)
    yield ""
    yield f"{sum(verdict.right for verdict in verdicts)} of {len(verdicts)} published bills come out right"


def _counted(title: str, verdicts: Iterable[Verdict], of: Callable[[Verdict], str]) -> Iterator[str]:
    cases: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for verdict in verdicts:
        cases[of(verdict)] += 1
        right[of(verdict)] += verdict.right
    width = max(len(name) for name in (title, *cases))
    yield f"{title:<{width}}  right"
    for name, count in sorted(cases.items(), key=lambda entry: (-entry[1], entry[0])):
        yield f"{name:<{width}}  {right[name]:>3} of {count}"
