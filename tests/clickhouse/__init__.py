"""A ClickHouse server for tests alone: HTTP in front of the embedded engine, where there is no real server.

    engine     statements on chDB, each on a connection of its own
    request    what a request over HTTP asks for
    faults     what goes wrong, on demand
    front      the process: HTTP on the loopback address
    server     who starts it, kills it, and tells it what shall go wrong
    access     deploy/clickhouse/ as the embedded engine can enforce it

The engine is the real one; HTTP is what clickhouse-connect needs of a server and no more. It lets through what a server
does not: there is one user, several statements in one request are all run, and INTO OUTFILE writes.
"""
