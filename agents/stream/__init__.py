"""Stream: usage records of a Kafka topic become charges and statements, each exactly once. Read after local.py.

How a record is rated:

keys         which partition an account's messages go to
messages     charges, statements, rejections and commands as messages, there and back
table        the state of a partition: keyed, changelogged, restored
documents    its accounts, and all tariffs
quarantine   sources that are cut off
pruning      what leaves the state
partition    what messages come to, decided in memory
transactions what is sent counts all at once, or not at all
log          the Kafka side of a partition
task         a partition, from its assignment to its revocation
splitting    bulk usage, record by record
bulk         a partition of usage-bulk, from its assignment to its revocation
wiring       the tasks of a worker, with all that they need
assignment   which worker has which partitions
transport    how Faust reads the topics
hosting      a worker's partitions, each with its task
progress     how a worker gets on, for whoever asks
app          the whole topology, on one page

What it needs of the world, and what is around it:

security     how a process proves who it is, and how it knows the brokers
connection   brokers, prefix and security in the words of each client
brokers      whether the brokers answer, and what is the matter if not
layout       what each topic must be
topics       their names; made and checked
encoding     usage records as messages, in every encoding
publishing   messages to their topics, each known to have arrived
files        usage files to messages
declaring    tariffs and accounts to their topics
commanding   what operators ask of the workers
registry_http a schema registry's answers
registry     what is known of its schemas
looking_up   the schemas that a batch needs, before it is decoded
simulating   made-up usage, for load
reading      what a topic holds, up to its end
rejected     what was rejected, and what of it is open
replaying    rejected usage once more, each exactly once
"""
