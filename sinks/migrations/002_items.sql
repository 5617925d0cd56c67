-- What items, components, coupons, credits and interim statements say. Rows from before have the defaults; such a
-- statement had no settlements, so its whole total is due.
--
-- Interim statements of a period have a number from 1, and the period's own has 0: the number joins the keys, or one
-- would replace the other. A column can join a sorting key only where it is added, and without a default of its own.

ALTER TABLE charges
    ADD COLUMN IF NOT EXISTS `parts.name` Array(LowCardinality(String)) CODEC(ZSTD(1)) AFTER `parts.amount`,
    ADD COLUMN IF NOT EXISTS `parts.tax_percent` Array(LowCardinality(String)) CODEC(ZSTD(1)) AFTER `parts.name`,
    ADD COLUMN IF NOT EXISTS `parts.tax` Array(Decimal(38, 18)) CODEC(ZSTD(1)) AFTER `parts.tax_percent`;

ALTER TABLE statements
    ADD COLUMN IF NOT EXISTS number UInt32 AFTER revision,
    ADD COLUMN IF NOT EXISTS kind LowCardinality(String) DEFAULT 'statement',
    ADD COLUMN IF NOT EXISTS `settlements.name` Array(String) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS `settlements.amount` Array(Decimal(38, 18)) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS `settlements.remaining` Array(Decimal(38, 18)) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS `allowances.meter` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS `allowances.unit` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS `allowances.included` Array(Decimal(38, 6)) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS `allowances.used` Array(Decimal(38, 6)) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS `allowances.left` Array(Decimal(38, 6)) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS due Decimal(38, 18) DEFAULT total CODEC(ZSTD(1)),
    MODIFY ORDER BY (tenant, account, period_start, revision, number);

ALTER TABLE statement_lines
    ADD COLUMN IF NOT EXISTS number UInt32 AFTER revision,
    ADD COLUMN IF NOT EXISTS gross Decimal(38, 18) CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS due Decimal(38, 18) CODEC(ZSTD(1)),
    MODIFY ORDER BY (tenant, account, statement_start, revision, line, number);

ALTER TABLE taxes
    ADD COLUMN IF NOT EXISTS number UInt32 AFTER revision,
    ADD COLUMN IF NOT EXISTS item LowCardinality(String),
    MODIFY ORDER BY (tenant, account, statement_start, revision, line, number);
