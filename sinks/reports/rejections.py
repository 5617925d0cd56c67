"""Rejections: how much was not accepted, by reason."""

from typing import ClassVar

from sinks.reports.question import Question


class RejectedByReason(Question, frozen=True):
    """A row for each reason: how many, which share of all, where the first and the last one stood, and an example.

    Positions are told as schemas.rejection.Position tells them.
    """

    sql: ClassVar[str] = """
WITH
    position -> if(position.5 > 0, concat(position.1, ':', toString(position.5)), concat(position.1, '[',
        toString(position.2), ']@', toString(position.3), if(position.4 > 0, concat('#', toString(position.4)), '')))
    AS told
SELECT reason, rejections, percent, told(first) AS first_at, told(last) AS last_at, example
FROM rejected_by_reason
ORDER BY rejections DESC, reason
"""
