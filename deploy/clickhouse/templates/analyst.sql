-- A user who reads all of all tenants: `ratestream report`, `reconcile`, `prove`, and people: --param_user, --param_password_sha256 (64 hexadecimal digits).

CREATE USER IF NOT EXISTS {user:Identifier}
    IDENTIFIED WITH sha256_hash BY {password_sha256:String}
    DEFAULT ROLE ratestream_analyst;
