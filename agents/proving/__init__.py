"""Proving: that a statement is what its charges come to, and what the usage comes to when it is rated once more.

It reads what the sink has written and nothing of the workers' state. Read in this order:

stored       what ClickHouse holds of an account: its statements and their charges
replica      the account in memory, where a step can be tried and thrown away
history      what its worker was given: usage records, markers and documents, from the archive
likeness     how near a step comes to what is stored
replay       the usage is rated again, as it was then
counting     what the stored charges come to by themselves
differences  stored and recomputed side by side, field by field
proof        both halves and the verdict
meaning      what differences may come from
archive      a proof from ClickHouse alone
topic        a proof from the usage that is still in Kafka
"""
