-- Where each stage stands in each partition, and the outputs of its last batch until they are known to be on the bus.
-- The row is the outbox: moving it by compare-and-set commits state, place and outputs at once and fences an owner that lost the partition.
CREATE TABLE cursors (
    stage       text        NOT NULL,
    topic       text        NOT NULL,
    partition   integer     NOT NULL,
    next_offset bigint      NOT NULL,
    pending     bytea       NOT NULL DEFAULT '',
    moved_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stage, topic, partition)
) WITH (fillfactor = 50);

-- `pending` comes compressed already.
ALTER TABLE cursors ALTER COLUMN pending SET STORAGE EXTERNAL;
