-- Which rows a tenant's people see: those of the tenants that ratestream_access.tenants names for them, and no other.
--
-- The policies bind the role that also brings the right to read: without the role there is neither. They are restrictive,
-- so that no other policy can widen them. The first one, for everybody, lets those read who have no policy of their own,
-- whatever the server is set to (users_without_row_policies_can_read_rows).
--
-- Two things no policy hides: how many rows a table has (total_rows in system.tables), and how long a query takes.

CREATE ROW POLICY OR REPLACE ratestream_everything ON ratestream.*, ratestream_access.* USING 1 AS PERMISSIVE TO ALL;

-- Each reads the list of tenants with the rights of who asks, and so under the policy after it.
CREATE ROW POLICY OR REPLACE ratestream_tenant
    ON ratestream.charges, ratestream.statements, ratestream.statement_lines, ratestream.taxes, ratestream.rejected,
       ratestream.usage, ratestream.accounts
    USING tenant IN (SELECT tenant FROM ratestream_access.tenants WHERE user = currentUser())
    AS RESTRICTIVE TO ratestream_tenant;

CREATE ROW POLICY OR REPLACE ratestream_tenant ON ratestream_access.tenants
    USING user = currentUser() AS RESTRICTIVE TO ratestream_tenant;
