-- What a query and a user may cost. `final` lets nobody see a row twice that was inserted twice; a partition holds all
-- versions of a row, so that partitions need no merging with each other. MIN and MAX are what a query may ask for: 0 would
-- be no limit at all.

CREATE SETTINGS PROFILE OR REPLACE ratestream_analyst SETTINGS
    final = 1,
    do_not_merge_across_partitions_select_final = 1,
    max_execution_time = 60 MIN 1 MAX 600,
    max_memory_usage = 8000000000 MIN 1 MAX 8000000000,
    max_threads = 8 MIN 1 MAX 8,
    max_result_rows = 10000000 MIN 1 MAX 10000000
    TO ratestream_analyst;

CREATE SETTINGS PROFILE OR REPLACE ratestream_tenant SETTINGS
    final = 1 CONST,
    do_not_merge_across_partitions_select_final = 1,
    max_execution_time = 20 MIN 1 MAX 60,
    max_memory_usage = 2000000000 MIN 1 MAX 2000000000,
    max_threads = 2 MIN 1 MAX 2,
    max_result_rows = 1000000 MIN 1 MAX 1000000
    TO ratestream_tenant;

-- An insert that is acknowledged is there, and its token was looked at: the sink sets this itself, and so does the server.
CREATE SETTINGS PROFILE OR REPLACE ratestream_sink SETTINGS
    async_insert = 0 CONST,
    insert_deduplicate = 1 CONST
    TO ratestream_sink;

-- For each user by himself, by the hour.
CREATE QUOTA OR REPLACE ratestream_analyst KEYED BY user_name
    FOR INTERVAL 1 hour MAX queries = 20000, execution_time = 7200
    TO ratestream_analyst;

CREATE QUOTA OR REPLACE ratestream_tenant KEYED BY user_name
    FOR INTERVAL 1 hour MAX queries = 2000, execution_time = 600, read_rows = 2000000000
    TO ratestream_tenant;
