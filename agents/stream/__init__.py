"""Stream: usage records of a Kafka topic become charges and statements, each exactly once. Read after local.py.

keys         which partition an account's messages go to
"""
