"""Reports: the questions that people ask of charges and statements, each a value with its statement of SQL.

A question's fields are the parameters of its SQL: the server sets them in, so no value is ever part of a statement. The
SQL reads tables and views (migrations/005_questions.sql) with FINAL, and has a total order. Amounts are exact and
before tax where nothing else is said, and never added up across currencies. Modules in the order of reading:
"""

__all__ = ["question", "accounts", "bills", "dimensions", "revenue", "usage", "lineage", "rejections"]
