"""The front door: the command line. It asks the agents and shows what they say; it decides nothing about money.

cli           the commands that do something
asking        the commands that ask
options       what they have in common
failures      which error ends a command with which code
running       one run, from its files to its summary
offline       one rating that keeps nothing
rerating      one re-rating: what differs from what is booked
demo          a run over the examples, explained
usage_files   which files a command reads
stopping      signals as requests to stop
progress      how far a run has come
summary       what it came to
statements    statements and running bills as text and CSV
charges       charges
explanation   the arithmetic of one charge
rejections    what was not accepted
rows          tables of ClickHouse as text, JSON lines and CSV
screen        how amounts, times and other people's texts look
worker        one worker of the stream, from its start to its end
processes     one worker as several processes
stream_demo   real homes through Kafka, explained
publishing    the commands that put usage, documents and closings on the topics
simulating    the one that sends made-up usage
repairing     the ones about what was rejected
stream        the topics that a command works with
"""
