"""Places: where charges, statements and rejections are kept for people who ask about them.

A sink is a projection of the pipeline's own state: it can be thrown away and filled again, and nothing reads money
back from it into the pipeline. Modules in the order of reading:
"""

__all__ = [
    "errors",
    "columns",
    "charge_columns",
    "charge_json",
    "statement_columns",
    "rejection_columns",
    "document_columns",
    "usage_columns",
    "clickhouse",
    "migrations",
    "read_only",
    "queries",
    "archive_reads",
    "export",
    "reports",
]
