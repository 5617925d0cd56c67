-- The user of `ratestream sink`: --param_user, --param_password_sha256 (64 hexadecimal digits).

CREATE USER IF NOT EXISTS {user:Identifier}
    IDENTIFIED WITH sha256_hash BY {password_sha256:String}
    DEFAULT ROLE ratestream_sink;
