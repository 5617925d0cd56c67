"""Simulation: the task of one partition over a Kafka and disks in memory, in one thread, from one seed.

kafka       topics, transactions, fencing and compaction
disk        stores that survive a process whole, with their last writes lost, or not at all
process     one worker: its fate, and what it reaches Kafka and its disk through
documents   tariffs, accounts and what is not valid of them
traffic     usage of all kinds, and what has to become of it
schedule    what happens in which order: one seed, one schedule
reference   the same log, rated in one go
checks      whether both agree, and whether the money adds up
running     many schedules
sabotage    protocols that are wrong, to see that it is noticed

A schedule that fails is run again by `python -m tests.simulation --seed N`.
"""
