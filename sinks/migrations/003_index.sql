-- A message may hold many records: their index within it tells their rejections apart, and joins the key, or one of two
-- equal records would replace the other. Rows from before are of messages with one record each.

ALTER TABLE rejected
    ADD COLUMN IF NOT EXISTS `index` Int64 CODEC(ZSTD(1)) AFTER line,
    MODIFY ORDER BY (origin, partition, offset, sha256, `index`);
