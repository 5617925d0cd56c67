"""Reconciling: an independent reader of topics and tables, outside Faust and outside the pipeline.

It trusts neither the workers nor the sink: it reads what they wrote, each row, and compares. Modules in the order of
reading:
"""

__all__ = [
    "legs",
    "records",
    "reading",
    "periods",
    "splitting",
    "billing",
    "drilling",
    "course",
]
