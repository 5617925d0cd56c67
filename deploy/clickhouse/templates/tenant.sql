-- A user of one tenant: --param_user, --param_tenant, --param_password_sha256 (64 hexadecimal digits). The role comes with
-- the user. For another tenant of the same user repeat the last statement alone; to take one away, delete its row.

CREATE USER IF NOT EXISTS {user:Identifier}
    IDENTIFIED WITH sha256_hash BY {password_sha256:String}
    DEFAULT ROLE ratestream_tenant;

INSERT INTO ratestream_access.tenants VALUES ({user:String}, {tenant:String});
