"""Chaos of the sink: sinks and their ClickHouse are killed, stopped and cut off under load; what is stored stays exact.

Nothing of the product is imported: topics and tables are made by its command line, messages are written by Kafka
clients of our own, and what ClickHouse holds is read over HTTP and compared by code of its own. In this order:

    generation   messages of all topics that the sink reads, from one seed
    expected     what the messages that stand on the topics have to be as rows
    stored       what ClickHouse holds
    comparison   every difference, and the table of figures
    log          the topics: fed and read
    faults       what is done to sinks and to the server
    run          one whole run: feed, hurt, mend, compare

    python -m tests.chaos_sink               CI's set
    python -m tests.chaos_sink --full
"""
