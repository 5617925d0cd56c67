"""Sink: what the stream's topics hold becomes rows in ClickHouse, each once. Read after stream/.

rows         what the messages of each topic are as rows
documents    accounts and tariffs as rows
usage        usage records, and the commands among them, as rows
inserting    a block into ClickHouse, however long that takes
task         a partition, from its assignment to its revocation
feeds        whose topics a database is filled from
app          the whole topology, on one page
"""
