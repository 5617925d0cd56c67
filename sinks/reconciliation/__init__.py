"""Reconciliation: what topics and tables hold is compared, by sums first and row by row only where these differ.

Nothing here knows the pipeline: it is compared what was written, not how it came about. Whoever reads the topics
(agents/reconciling) hands their messages in. Modules in the order of reading:
"""

__all__ = [
    "shapes",
    "tallies",
    "differences",
    "statements",
    "stored",
    "stored_statements",
]
