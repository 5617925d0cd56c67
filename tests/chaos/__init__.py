"""Chaos: workers are killed, stopped and scaled under load, and an oracle of its own says what is missing or doubled.

Nothing of the product is imported: it is started by its command line, fed and read by Kafka clients, and judged by
code of its own (and of tests/oracle). Read in this order:

    book         the tariff and the accounts, as documents and as what the oracle knows of them
    message      what a message of a run holds, and what has to become of it
    encoding     one record as JSON, CloudEvent or Avro
    malformed    messages that cannot be accepted, each with its reason
    customer     the records of one account, as they arrive
    generation   all messages of a run, from one seed
    mutants      messages with a few bytes changed
    model        what one account's records come to, in exact fractions
    expected     what a usage topic, read from its start, has to come to
    topics       a run's topics: made, fed and read
    comparison   every difference, and the table of figures
    workers      the processes that are killed
    nursery      processes that start in no time
    faults       what is done to them
    crash_points, refused_writes    faults that need a worker prepared for them
    run          one whole run: feed, hurt, mend, close, compare
    suites       which runs there are
    faust_as_documented, faust_run  the same on Faust as its guide writes it, which has to fail

    python -m tests.chaos --kills 30
    python -m tests.chaos --full
"""
