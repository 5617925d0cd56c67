-- Who may do what in ClickHouse. Run these files in their order, as a user who may manage access, before or after
-- `ratestream migrate`, and again after an upgrade: each statement can be run twice.
--
--     for file in deploy/clickhouse/*.sql; do clickhouse-client --queries-file "$file"; done
--
-- Then make users with the files in templates/, whose parameters are values and never become SQL:
--
--     clickhouse-client --queries-file deploy/clickhouse/templates/tenant.sql \
--         --param_user ann --param_tenant acme --param_password_sha256 "$(printf %s "$PASSWORD" | sha256sum | cut -c1-64)"
--
--     role                    who                                         may
--     ratestream_migrator     ratestream migrate                      make and change the tables
--     ratestream_sink         ratestream sink                         insert, and read what says where it stands
--     ratestream_analyst      ratestream report, reconcile, prove     read all of all tenants
--     ratestream_tenant       a tenant's own people                   read the rows of their tenants
--
-- Nobody but the migrator may delete or change a row, and no role reaches files, other servers or the server's settings.
-- Grants on tables that a migration has not made yet wait for them.

CREATE ROLE IF NOT EXISTS ratestream_migrator;
CREATE ROLE IF NOT EXISTS ratestream_sink;
CREATE ROLE IF NOT EXISTS ratestream_analyst;
CREATE ROLE IF NOT EXISTS ratestream_tenant;

-- Which users see which tenants: who has no row here sees nothing. It is no table of the program, and only those who
-- manage access write it.
CREATE DATABASE IF NOT EXISTS ratestream_access;
CREATE TABLE IF NOT EXISTS ratestream_access.tenants
(
    user String,
    tenant String
)
ENGINE = ReplacingMergeTree
ORDER BY (user, tenant);

GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP VIEW, ALTER, SELECT, INSERT ON ratestream.* TO ratestream_migrator;

GRANT INSERT ON ratestream.* TO ratestream_sink;
GRANT SELECT ON ratestream.migrations TO ratestream_sink;
GRANT SELECT ON ratestream.feeds TO ratestream_sink;

GRANT SELECT ON ratestream.* TO ratestream_analyst;

-- Every table and view with a column `tenant` (02_row_policies.sql says which rows of them), and by which migrations they
-- were made, which `ratestream report` checks. Nothing else: tariffs may be another tenant's, and documents and commands
-- are of all. A view reads with the rights of who asks.
GRANT SELECT ON ratestream.charges TO ratestream_tenant;
GRANT SELECT ON ratestream.statements TO ratestream_tenant;
GRANT SELECT ON ratestream.statement_lines TO ratestream_tenant;
GRANT SELECT ON ratestream.taxes TO ratestream_tenant;
GRANT SELECT ON ratestream.rejected TO ratestream_tenant;
GRANT SELECT ON ratestream.usage TO ratestream_tenant;
GRANT SELECT ON ratestream.accounts TO ratestream_tenant;
GRANT SELECT ON ratestream.charge_parts TO ratestream_tenant;
GRANT SELECT ON ratestream.latest_statements TO ratestream_tenant;
GRANT SELECT ON ratestream.running_bills TO ratestream_tenant;
GRANT SELECT ON ratestream.statement_rows TO ratestream_tenant;
GRANT SELECT ON ratestream.revenue TO ratestream_tenant;
GRANT SELECT ON ratestream.tier_revenue TO ratestream_tenant;
GRANT SELECT ON ratestream.account_revenue TO ratestream_tenant;
GRANT SELECT ON ratestream.usage_hours TO ratestream_tenant;
GRANT SELECT ON ratestream.line_charges TO ratestream_tenant;
GRANT SELECT ON ratestream.usage_positions TO ratestream_tenant;
GRANT SELECT ON ratestream.late_charges TO ratestream_tenant;
GRANT SELECT ON ratestream.metered_periods TO ratestream_tenant;
GRANT SELECT ON ratestream.usage_coverage TO ratestream_tenant;
GRANT SELECT ON ratestream.completeness TO ratestream_tenant;
GRANT SELECT ON ratestream.migrations TO ratestream_tenant;
GRANT SELECT ON ratestream_access.tenants TO ratestream_tenant;
