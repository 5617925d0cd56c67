"""Codecs: bytes become usage records or refusals, and nouns become bytes. Nothing here raises for bad data.

Read in this order: fields (what a usage record's values must be), batch (what a decoder hands on), one file per
encoding (usage_json, cloudevents; avro_reading, and on it avro_usage with avro_container, and confluent), message (one
message of any encoding), nouns (all nouns as JSON and Avro, by their layout; charges quickly, by charge_json).
Files are read by schemas.files. After the producer, before intake.
"""

from schemas.codecs.batch import Cut, Limits, UsageBatch
from schemas.codecs.fields import Refusal
from schemas.codecs.message import add_message, decode_message
from schemas.codecs.nouns import avro_container, avro_from, avro_single, json_bytes, json_from, nouns_from_container
from schemas.codecs.usage_json import usage_json

__all__ = [
    "Cut",
    "Limits",
    "Refusal",
    "UsageBatch",
    "add_message",
    "avro_container",
    "avro_from",
    "avro_single",
    "decode_message",
    "json_bytes",
    "json_from",
    "nouns_from_container",
    "usage_json",
]
