-- What the sink of the stream keeps besides charges, statements and rejections: the usage itself, which outlives Kafka's
-- retention, the commands that stand among it, every published document, and whose topics all of it is from.
--
-- A row's key is its place in Kafka. Partitions are months (in UTC) of the broker's append time, never the time of
-- insertion: a message that is read again always meets its earlier self.

-- One row for each record of a message on the topic usage, accepted or not; `index` is its number within the message.
-- `quantity` is exact or null: a quantity of more than 6 decimals or 38 digits is in `quantity_text`, which is '' otherwise.
-- A record without any quantity voids the one that it corrects. Instants may be of any year from 1 to 9999.
CREATE TABLE IF NOT EXISTS usage
(
    tenant LowCardinality(String),
    account String CODEC(ZSTD(1)),
    source LowCardinality(String),
    usage_id String CODEC(ZSTD(1)),
    meter LowCardinality(String),
    quantity Nullable(Decimal(38, 6)) CODEC(ZSTD(1)),
    quantity_text String CODEC(ZSTD(1)),
    start DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    end DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    unit LowCardinality(Nullable(String)),
    session Nullable(String) CODEC(ZSTD(1)),
    attributes Map(String, String) CODEC(ZSTD(1)),
    corrects Nullable(String) CODEC(ZSTD(1)),
    partition UInt32 CODEC(ZSTD(1)),
    offset UInt64 CODEC(Delta(8), ZSTD(1)),
    `index` UInt32 CODEC(ZSTD(1)),
    appended DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    INDEX by_usage_id usage_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(appended)
PRIMARY KEY (tenant, account, start)
ORDER BY (tenant, account, start, partition, offset, `index`)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

-- Commands take effect where their markers stand among the messages of usage.
CREATE TABLE IF NOT EXISTS commands
(
    partition UInt32,
    offset UInt64 CODEC(Delta(8), ZSTD(1)),
    appended DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    command String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(appended)
ORDER BY (partition, offset)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

-- Every version of every published document that came, where the topics keep the latest only. `value` is null where a
-- document was taken back.
CREATE TABLE IF NOT EXISTS documents
(
    topic LowCardinality(String),
    key String CODEC(ZSTD(1)),
    value Nullable(String) CODEC(ZSTD(3)),
    partition UInt32,
    offset UInt64 CODEC(Delta(8), ZSTD(1)),
    appended DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

-- The topics that the rows are from, as at the first start.
CREATE TABLE IF NOT EXISTS feeds
(
    topic String,
    cluster String,
    topic_id String
)
ENGINE = ReplacingMergeTree
ORDER BY topic
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
