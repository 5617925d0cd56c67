"""Stream: usage records of a Kafka topic become charges and statements, each exactly once. Read after local.py.

keys         which partition an account's messages go to
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
simulating   made-up usage, for load
reading      what a topic holds, up to its end
rejected     what was rejected, and what of it is open
replaying    rejected usage once more, each exactly once
"""
