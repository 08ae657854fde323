-- What a batch leaves to be folded (0008) is written by statements that stay planned, and not at all where no row changed: planning took longer than the
-- rows. A statement that is planned once names its tables by the schema that the session stands in, so it is used there alone; whoever writes into another
-- one, as when tables are made anew beside these, has it made for that.
CREATE OR REPLACE FUNCTION rolled_after() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM after) THEN
        RETURN NULL;
    ELSIF TG_TABLE_SCHEMA IS DISTINCT FROM current_schema() THEN
        EXECUTE format('INSERT INTO %I.%I SELECT 1, * FROM after', TG_TABLE_SCHEMA, TG_TABLE_NAME || '_deltas');
    ELSIF TG_TABLE_NAME = 'counters' THEN
        INSERT INTO counters_deltas SELECT 1, * FROM after;
    ELSIF TG_TABLE_NAME = 'money' THEN
        INSERT INTO money_deltas SELECT 1, * FROM after;
    ELSE
        INSERT INTO reasons_deltas SELECT 1, * FROM after;
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION rolled_both() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM after) THEN
        RETURN NULL;
    ELSIF TG_TABLE_SCHEMA IS DISTINCT FROM current_schema() THEN
        EXECUTE format('INSERT INTO %I.%I SELECT 1, * FROM after UNION ALL SELECT -1, * FROM before', TG_TABLE_SCHEMA, TG_TABLE_NAME || '_deltas');
    ELSIF TG_TABLE_NAME = 'counters' THEN
        INSERT INTO counters_deltas SELECT 1, * FROM after UNION ALL SELECT -1, * FROM before;
    ELSIF TG_TABLE_NAME = 'money' THEN
        INSERT INTO money_deltas SELECT 1, * FROM after UNION ALL SELECT -1, * FROM before;
    ELSE
        INSERT INTO reasons_deltas SELECT 1, * FROM after UNION ALL SELECT -1, * FROM before;
    END IF;
    RETURN NULL;
END $$;
