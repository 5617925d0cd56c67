-- What people ask most, as views: for analysts and their tools, and for `ratestream report`. Every view reads with
-- FINAL, so a row that was inserted twice counts once, and with the rights of who asks, so that row policies hold.
-- Amounts are exact and before tax where nothing else is said, and never added up across currencies; times are in
-- UTC.
--
-- Rows from before have the indexes from their next merge on.
--
-- min_age_to_force_merge_*: the engine merges a month to one part when nothing has come for it for an hour. FINAL then
-- has nothing left to do there: summing 20 million charges takes a quarter of the time.

ALTER TABLE charges
    ADD INDEX IF NOT EXISTS by_usage_id usage_id TYPE bloom_filter(0.001) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_usage_start usage_start TYPE minmax GRANULARITY 8;

ALTER TABLE charges
    MODIFY SETTING min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1;

ALTER TABLE statements
    MODIFY SETTING min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1;

ALTER TABLE statement_lines
    MODIFY SETTING min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1;

ALTER TABLE taxes
    MODIFY SETTING min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1;

-- A row for each part of each charge: its band, tier, unit price, quantity and amount. A charge without parts has one
-- row.
CREATE VIEW IF NOT EXISTS charge_parts SQL SECURITY INVOKER AS
SELECT charge_id, kind, tenant, account, source, usage_id, meter, unit, usage_start, usage_end, period_start,
    period_end, statement_start, statement_end, currency, tariff, version, corrects, band, tier, unit_price, name,
    quantity, amount
FROM
(
    SELECT charge_id, kind, tenant, account, source, usage_id, meter, unit, usage_start, usage_end, period_start,
        period_end, statement_start, statement_end, currency, tariff, version, corrects, parts.band, parts.tier,
        parts.unit_price, parts.name, parts.quantity, parts.amount
    FROM charges FINAL
)
LEFT ARRAY JOIN parts.band AS band, parts.tier AS tier, parts.unit_price AS unit_price, parts.name AS name,
    parts.quantity AS quantity, parts.amount AS amount;

-- The latest revision of each statement. `number` is 0 for a period's own, and counts its interim ones.
CREATE VIEW IF NOT EXISTS latest_statements SQL SECURITY INVOKER AS
SELECT head.* FROM (SELECT * FROM statements FINAL) AS head
INNER JOIN
(
    SELECT tenant, account, period_start, number, max(revision) AS latest_revision FROM statements FINAL
    GROUP BY tenant, account, period_start, number
) AS latest USING (tenant, account, period_start, number)
WHERE head.revision = latest.latest_revision;

-- What the periods without a statement of their own come to so far: fees, minimums and coupons join when they close.
CREATE VIEW IF NOT EXISTS running_bills SQL SECURITY INVOKER AS
SELECT tenant, account, statement_start, any(statement_end) AS statement_end, currency, meter, unit, band, tier, name,
    sum(part.quantity) AS quantity, sum(part.amount) AS amount, uniqExact(charge_id) AS charges
FROM charge_parts AS part
LEFT ANTI JOIN
(
    SELECT tenant, account, period_start FROM statements FINAL WHERE number = 0
) AS closed
    ON part.tenant = closed.tenant AND part.account = closed.account AND part.statement_start = closed.period_start
GROUP BY tenant, account, statement_start, currency, meter, unit, band, tier, name;

-- Everything that a statement says in rows: its lines, its taxes, and what settles it. `amount` of lines and taxes
-- adds up to the total, and of settlements, which are negative, to what is due. `line` counts each kind of row from
-- 1.
CREATE VIEW IF NOT EXISTS statement_rows SQL SECURITY INVOKER AS
WITH latest AS
(
    SELECT tenant, account, period_start AS statement_start, number, max(revision) AS latest_revision
    FROM statements FINAL
    GROUP BY tenant, account, statement_start, number
)
SELECT own.* FROM
(
    SELECT statement_id, tenant, account, statement_start, revision, number, 1 AS section, line, kind, period_start,
        period_end, tariff, version, meter, name, band, tier, unit_price, quantity, unit, exact, amount
    FROM statement_lines FINAL
    UNION ALL
    SELECT statement_id, tenant, account, statement_start, revision, number, 2 AS section, line, 'tax' AS kind,
        statement_start AS period_start, statement_start AS period_end, tariff, version, item AS meter, name,
        '' AS band, 0 AS tier, toDecimal128(0, 12) AS unit_price, toDecimal128(0, 6) AS quantity, '' AS unit,
        base AS exact, amount
    FROM taxes FINAL
    UNION ALL
    SELECT statement_id, tenant, account, period_start AS statement_start, revision, number, 3 AS section,
        toUInt32(place) AS line, 'settlement' AS kind, period_start, period_end, '' AS tariff, '' AS version,
        '' AS meter, settled AS name, '' AS band, 0 AS tier, toDecimal128(0, 12) AS unit_price,
        toDecimal128(0, 6) AS quantity, '' AS unit, -paid AS exact, -paid AS amount
    FROM (SELECT * FROM statements FINAL)
    ARRAY JOIN `settlements.name` AS settled, `settlements.amount` AS paid, arrayEnumerate(`settlements.name`) AS place
) AS own
INNER JOIN latest USING (tenant, account, statement_start, number)
WHERE own.revision = latest.latest_revision;

-- What was charged, hour by hour of the usage (UTC). A fee counts where the period begins that it is for.
CREATE VIEW IF NOT EXISTS revenue SQL SECURITY INVOKER AS
SELECT tenant, currency, toStartOfHour(usage_start) AS hour, tariff, meter, kind, sum(charge.amount) AS amount,
    count() AS charges
FROM charges AS charge FINAL
GROUP BY tenant, currency, hour, tariff, meter, kind;

-- The same by band and tier. A charge counts in each of its tiers.
CREATE VIEW IF NOT EXISTS tier_revenue SQL SECURITY INVOKER AS
SELECT tenant, currency, toStartOfHour(usage_start) AS hour, tariff, meter, kind, band, tier,
    sum(part.amount) AS amount, count() AS charges
FROM charge_parts AS part
GROUP BY tenant, currency, hour, tariff, meter, kind, band, tier;

-- What each account was charged, by month of the usage (UTC).
CREATE VIEW IF NOT EXISTS account_revenue SQL SECURITY INVOKER AS
SELECT tenant, account, currency, toStartOfMonth(usage_start) AS month, sum(charge.amount) AS amount, count() AS charges
FROM charges AS charge FINAL
GROUP BY tenant, account, currency, month;

-- What was used, hour by hour (UTC). A record counts in the hour in which it begins.
CREATE VIEW IF NOT EXISTS usage_hours SQL SECURITY INVOKER AS
SELECT tenant, account, meter, unit, toStartOfHour(usage_start) AS hour, sum(charge.quantity) AS quantity
FROM charges AS charge FINAL
WHERE usage_id != ''
GROUP BY tenant, account, meter, unit, hour;

-- Which charges a line of the latest statement of a period sums: a row for each part of each charge. Where a price
-- was worked out again as a whole (kind adjustment, no usage_id), its charge has no part of that line, and is not
-- here.
CREATE VIEW IF NOT EXISTS line_charges SQL SECURITY INVOKER AS
SELECT line.statement_id AS statement_id, line.tenant AS tenant, line.account AS account,
    line.statement_start AS statement_start, line.line AS line, line.kind AS line_kind, line.exact AS line_exact,
    part.charge_id AS charge_id, part.kind AS kind, part.source AS source, part.usage_id AS usage_id,
    part.meter AS meter, part.band AS band, part.tier AS tier, part.unit_price AS unit_price, part.name AS name,
    part.usage_start AS usage_start, part.usage_end AS usage_end, part.period_start AS period_start,
    part.quantity AS quantity, part.unit AS unit, part.amount AS amount, part.currency AS currency
FROM (SELECT * FROM statement_rows WHERE section = 1 AND number = 0) AS line
INNER JOIN charge_parts AS part
    ON line.tenant = part.tenant AND line.account = part.account AND line.statement_start = part.statement_start
WHERE multiIf(
    line.kind = 'adjustment', part.period_start = line.period_start AND part.period_start != part.statement_start,
    (part.tariff, part.version, part.period_start) != (line.tariff, line.version, line.period_start), false,
    line.kind = 'usage', part.meter = line.meter AND part.band = line.band AND part.tier = line.tier
        AND part.unit_price = line.unit_price
        AND multiIf(part.name != '', part.name, part.quantity = 0 AND part.amount != 0, 'flat fee',
            part.tier = 0, 'included', '') = line.name,
    line.kind = 'recurring', part.kind = 'recurring' AND part.meter = line.name,
    line.kind = 'true_up', part.kind = 'true_up' AND part.meter = trimRight(concat('Minimum ', line.meter)),
    line.kind = 'discount', part.kind = 'credit' AND part.meter = line.name,
    false);

-- Where on the topic `usage` each record came first, and how often it came.
CREATE VIEW IF NOT EXISTS usage_positions SQL SECURITY INVOKER AS
SELECT tenant, account, source, usage_id, min((partition, offset, `index`)) AS position, min(appended) AS appended,
    count() AS copies
FROM usage FINAL
GROUP BY tenant, account, source, usage_id;

-- Charges of usage that came after its period had closed, and corrections.
CREATE VIEW IF NOT EXISTS late_charges SQL SECURITY INVOKER AS
SELECT * FROM charges FINAL
WHERE period_start < statement_start OR kind IN ('adjustment', 'reversal');

-- How much was rejected for each reason; the first and the last of its kind by origin, partition, offset, index and
-- line; and what the first one's message says.
CREATE VIEW IF NOT EXISTS rejected_by_reason SQL SECURITY INVOKER AS
SELECT reason, count() AS rejections,
    toDecimal64(intDiv(count() * 20000 + sum(count()) OVER (), sum(count()) OVER () * 2), 2) / 100 AS percent,
    min((origin, partition, offset, `index`, line)) AS first, max((origin, partition, offset, `index`, line)) AS last,
    argMin(message, (origin, partition, offset, `index`)) AS example
FROM rejected FINAL
GROUP BY reason;

-- Which times of a billing period a meter's records leave out (`gaps`, from and until in microseconds), and how long
-- most of them are. A record that was taken back does not count, nor does what only follows from the price of other
-- items (surcharges, maximums). An open period is looked at up to the meter's latest record.
CREATE VIEW IF NOT EXISTS metered_periods SQL SECURITY INVOKER AS
WITH
    arrayFilter((pair, nth) -> nth > countEqual(taken, pair), put, arrayEnumerateUniq(put)) AS pairs,
    arrayMap(pair -> pair.2 - pair.1, pairs) AS lengths,
    arrayMap(length -> (countEqual(lengths, length), -length), arrayDistinct(lengths)) AS often,
    if(closed, end_us, arrayMax(pair -> pair.2, pairs)) AS until_us
SELECT tenant, account, meter, period_start, period_end, closed, toUInt64(length(pairs)) AS records,
    -(arrayReverseSort(often)[1]).2 AS interval_us, until_us - start_us AS span_us,
    arrayFilter(gap -> gap.2 > gap.1, arrayZip(
        arrayPushFront(arraySort(arrayMap(pair -> pair.2, pairs)), start_us),
        arrayPushBack(arraySort(arrayMap(pair -> pair.1, pairs)), until_us))) AS gaps
FROM
(
    SELECT tenant, account, meter, period_start, period_end, start_us, end_us, put, taken,
        closed.period_start != toDateTime64(0, 6, 'UTC') AS closed
    FROM
    (
        SELECT tenant, account, meter, period_start, any(charge.period_end) AS period_end,
            toUnixTimestamp64Micro(period_start) AS start_us, toUnixTimestamp64Micro(any(charge.period_end)) AS end_us,
            groupArrayIf(times, kind != 'reversal') AS put, groupArrayIf(times, kind = 'reversal') AS taken
        FROM
        (
            SELECT *, (toUnixTimestamp64Micro(usage_start), toUnixTimestamp64Micro(usage_end)) AS times
            FROM charges FINAL
            WHERE usage_id != '' AND NOT (parts.tier = [0] AND parts.quantity = [0] AND amount != 0)
        ) AS charge
        GROUP BY tenant, account, meter, period_start
    ) AS metered
    LEFT JOIN (SELECT tenant, account, period_start FROM statements FINAL WHERE number = 0 GROUP BY ALL) AS closed
        USING (tenant, account, period_start)
)
WHERE notEmpty(pairs);

-- The same with the closed periods of an account in which a meter that it had used before is silent. There an interval
-- is as long as the meter's latest record.
CREATE VIEW IF NOT EXISTS usage_coverage SQL SECURITY INVOKER AS
SELECT tenant, account, meter, period_start, period_end, closed, records, interval_us, span_us, gaps
FROM metered_periods
UNION ALL
SELECT tenant, account, meter, period_start, period_end, true AS closed, 0 AS records, latest.2 AS interval_us,
    toUnixTimestamp64Micro(period_end) - toUnixTimestamp64Micro(period_start) AS span_us,
    [(toUnixTimestamp64Micro(period_start), toUnixTimestamp64Micro(period_end))] AS gaps
FROM
(
    SELECT tenant, account, period_start, any(period_end) AS period_end FROM statements FINAL
    WHERE number = 0
    GROUP BY tenant, account, period_start
) AS closed
INNER JOIN
(
    SELECT tenant, account, meter, min(used.period_start) AS first_start, groupArray(used.period_start) AS seen,
        max(used.latest) AS latest
    FROM
    (
        SELECT tenant, account, meter, period_start, max((usage_start, toUnixTimestamp64Micro(usage_end)
            - toUnixTimestamp64Micro(usage_start))) AS latest
        FROM charges AS charge FINAL
        WHERE usage_id != '' AND NOT (parts.tier = [0] AND parts.quantity = [0] AND charge.amount != 0)
        GROUP BY tenant, account, meter, period_start
        HAVING countIf(kind != 'reversal') > countIf(kind = 'reversal')
    ) AS used
    GROUP BY tenant, account, meter
) AS known USING (tenant, account)
WHERE period_start > first_start AND NOT has(seen, period_start);

-- How many of a period's intervals have usage, where most records of a meter are of one length. A gap counts as the
-- intervals that it comes to, rounded: a day is one interval whether it has 23, 24 or 25 hours. Events, which have no
-- length, have no intervals.
CREATE VIEW IF NOT EXISTS completeness SQL SECURITY INVOKER AS
WITH
    intDiv(2 * span_us + interval_us - 1, 2 * interval_us) AS expected,
    arrayMap(gap -> intDiv(2 * (gap.2 - gap.1) + interval_us - 1, 2 * interval_us), gaps) AS counts
SELECT tenant, account, meter, period_start, period_end, closed, records, interval_us, expected,
    expected - arraySum(counts) AS present, arrayFilter((gap, missing) -> missing > 0, gaps, counts) AS missing
FROM usage_coverage
WHERE interval_us > 0;
