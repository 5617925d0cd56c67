"""Verbs: what drives the pipeline. Read after pipeline/.

errors       what can go wrong around the pipeline
settings     names and values from the environment
storage      a RocksDB database
directory    the durable state of a data directory
journal      what the pipeline has decided, in order, as bytes
succession   tariffs and accounts as they are stored, and which ones may follow which
reference    the tariffs and accounts under which a directory was rated
projection   the journal becomes rows in ClickHouse
intake_log   which files were read, and how far
local        usage files in, charges and statements out, on one machine
offline      the same without a directory
rerating     what is booked, compared with what the same usage costs now, and booked anew
books        a directory and its ClickHouse, opened together
reports      what `ratestream report` asks
reporting    reports become questions of the sink
answers      what people ask of a directory
owner        the process that has the directory answers for it
"""
