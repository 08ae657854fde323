-- The counters summed up by day and month of the tenant's zone, so that no report reads more rows than it must. `rolling.py` fills them.
--
-- Whoever writes counters leaves here, in the same transaction, what they were and what they are: rows of their own, for which nobody waits. From there
-- they are folded into the sums, many at once. What is not folded yet is read from here, so that a report is right at every moment.

-- By which zone a tenant's days are. A tenant without a row has no sums, and reports read the counters themselves.
CREATE TABLE rolled_zones (
    tenant text PRIMARY KEY,
    zone   text NOT NULL
);

-- Cells of those dimensions only that have few values, and by which most is asked over long times.
CREATE TABLE broads (
    cell_id  uuid PRIMARY KEY,
    tenant   text NOT NULL,
    channel  text NOT NULL,
    purpose  text NOT NULL,
    language text NOT NULL
);
CREATE INDEX broads_by_tenant ON broads (tenant);
DROP INDEX cells_by_tenant;
CREATE INDEX cells_by_campaign ON cells (tenant, campaign);
CREATE INDEX money_by_period ON money (period);
CREATE INDEX reasons_by_period ON reasons (period);

-- What became of rows of the counters, and is not folded yet: 1 for what they are, -1 for what they were.
CREATE TABLE counters_deltas (sign smallint NOT NULL, LIKE counters) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
CREATE TABLE money_deltas (sign smallint NOT NULL, LIKE money) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
CREATE TABLE reasons_deltas (sign smallint NOT NULL, LIKE reasons) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);

-- By cell and day; by cell and month (`day` is its first); by broad cell and day. An integer holds what happens in a day, and PostgreSQL adds integers up
-- three times as fast as bigints.
CREATE TABLE counters_days (
    cell_id uuid NOT NULL,
    day     date NOT NULL,
    sent             integer NOT NULL DEFAULT 0,
    delivered        integer NOT NULL DEFAULT 0,
    opened           integer NOT NULL DEFAULT 0,
    clicked          integer NOT NULL DEFAULT 0,
    replied          integer NOT NULL DEFAULT 0,
    converted        integer NOT NULL DEFAULT 0,
    opted_out        integer NOT NULL DEFAULT 0,
    complained       integer NOT NULL DEFAULT 0,
    bounced          integer NOT NULL DEFAULT 0,
    failed           integer NOT NULL DEFAULT 0,
    unknown          integer NOT NULL DEFAULT 0,
    suppressed       integer NOT NULL DEFAULT 0,
    expired          integer NOT NULL DEFAULT 0,
    opened_machine   integer NOT NULL DEFAULT 0,
    clicked_machine  integer NOT NULL DEFAULT 0,
    segments         integer NOT NULL DEFAULT 0,
    people_sent      integer NOT NULL DEFAULT 0,
    people_delivered integer NOT NULL DEFAULT 0,
    people_opened    integer NOT NULL DEFAULT 0,
    people_clicked   integer NOT NULL DEFAULT 0,
    people_replied   integer NOT NULL DEFAULT 0,
    people_converted integer NOT NULL DEFAULT 0,
    people_opted_out integer NOT NULL DEFAULT 0,
    PRIMARY KEY (cell_id, day)
) WITH (fillfactor = 50);
CREATE INDEX counters_days_by_day ON counters_days (day);
CREATE TABLE counters_months (LIKE counters INCLUDING DEFAULTS) WITH (fillfactor = 50);
ALTER TABLE counters_months RENAME COLUMN period TO day;
ALTER TABLE counters_months ALTER COLUMN day TYPE date;
ALTER TABLE counters_months ADD PRIMARY KEY (cell_id, day);
CREATE INDEX counters_months_by_day ON counters_months (day);
CREATE TABLE counters_broad (LIKE counters_days INCLUDING ALL) WITH (fillfactor = 50);

CREATE TABLE money_days (
    cell_id  uuid    NOT NULL,
    day      date    NOT NULL,
    currency text    NOT NULL,
    orders   integer NOT NULL DEFAULT 0,
    revenue  numeric NOT NULL,
    cost     numeric NOT NULL,
    PRIMARY KEY (cell_id, day, currency)
) WITH (fillfactor = 50);
CREATE INDEX money_days_by_day ON money_days (day);
CREATE TABLE money_months (LIKE money_days INCLUDING ALL) WITH (fillfactor = 50);
CREATE TABLE money_broad (LIKE money_days INCLUDING ALL) WITH (fillfactor = 50);

CREATE TABLE reasons_days (
    cell_id  uuid    NOT NULL,
    day      date    NOT NULL,
    status   text    NOT NULL,
    reason   text    NOT NULL,
    messages integer NOT NULL DEFAULT 0,
    PRIMARY KEY (cell_id, day, status, reason)
) WITH (fillfactor = 50);
CREATE INDEX reasons_days_by_day ON reasons_days (day);
CREATE TABLE reasons_months (LIKE reasons_days INCLUDING ALL) WITH (fillfactor = 50);
CREATE TABLE reasons_broad (LIKE reasons_days INCLUDING ALL) WITH (fillfactor = 50);

-- Whoever writes may stand in another schema, as when tables are made anew beside these: the schema is the table's.
CREATE FUNCTION rolled_after() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO %I.%I SELECT 1, * FROM after', TG_TABLE_SCHEMA, TG_TABLE_NAME || '_deltas');
    RETURN NULL;
END $$;
CREATE FUNCTION rolled_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO %I.%I SELECT -1, * FROM before', TG_TABLE_SCHEMA, TG_TABLE_NAME || '_deltas');
    RETURN NULL;
END $$;
CREATE FUNCTION rolled_both() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO %I.%I SELECT 1, * FROM after UNION ALL SELECT -1, * FROM before', TG_TABLE_SCHEMA, TG_TABLE_NAME || '_deltas');
    RETURN NULL;
END $$;
-- A table that is emptied at once has told nobody row by row: its sums go, and all are made anew.
CREATE FUNCTION rolled_anew() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    level text;
BEGIN
    FOREACH level IN ARRAY ARRAY['deltas', 'days', 'months', 'broad'] LOOP
        EXECUTE format('DELETE FROM %I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME || '_' || level);
    END LOOP;
    EXECUTE format('DELETE FROM %I.rolled_zones', TG_TABLE_SCHEMA);
    RETURN NULL;
END $$;

CREATE TRIGGER rolled_insert AFTER INSERT ON counters REFERENCING NEW TABLE AS after EXECUTE FUNCTION rolled_after();
CREATE TRIGGER rolled_update AFTER UPDATE ON counters REFERENCING NEW TABLE AS after OLD TABLE AS before EXECUTE FUNCTION rolled_both();
CREATE TRIGGER rolled_delete AFTER DELETE ON counters REFERENCING OLD TABLE AS before EXECUTE FUNCTION rolled_before();
CREATE TRIGGER rolled_truncate AFTER TRUNCATE ON counters EXECUTE FUNCTION rolled_anew();
CREATE TRIGGER rolled_insert AFTER INSERT ON money REFERENCING NEW TABLE AS after EXECUTE FUNCTION rolled_after();
CREATE TRIGGER rolled_update AFTER UPDATE ON money REFERENCING NEW TABLE AS after OLD TABLE AS before EXECUTE FUNCTION rolled_both();
CREATE TRIGGER rolled_delete AFTER DELETE ON money REFERENCING OLD TABLE AS before EXECUTE FUNCTION rolled_before();
CREATE TRIGGER rolled_truncate AFTER TRUNCATE ON money EXECUTE FUNCTION rolled_anew();
CREATE TRIGGER rolled_insert AFTER INSERT ON reasons REFERENCING NEW TABLE AS after EXECUTE FUNCTION rolled_after();
CREATE TRIGGER rolled_update AFTER UPDATE ON reasons REFERENCING NEW TABLE AS after OLD TABLE AS before EXECUTE FUNCTION rolled_both();
CREATE TRIGGER rolled_delete AFTER DELETE ON reasons REFERENCING OLD TABLE AS before EXECUTE FUNCTION rolled_before();
CREATE TRIGGER rolled_truncate AFTER TRUNCATE ON reasons EXECUTE FUNCTION rolled_anew();
