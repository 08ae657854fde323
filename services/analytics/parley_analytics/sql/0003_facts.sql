-- More facts: what is owed to a message (answers, opt-outs, goals with their value), why a message did not arrive, what it cost; and what is told is kept
-- apart from what follows from it, so that a judgement that is corrected takes back whatever hung on it.

ALTER TABLE cells ADD COLUMN language text NOT NULL DEFAULT '', ADD COLUMN flow text NOT NULL DEFAULT '', ADD COLUMN step text NOT NULL DEFAULT '';
ALTER TABLE cells ALTER COLUMN language DROP DEFAULT, ALTER COLUMN flow DROP DEFAULT, ALTER COLUMN step DROP DEFAULT;

-- Opens and clicks as they were judged. Of several judgements of one hit the latest counts; with it the message's times are made anew.
CREATE TABLE hits (
    contact_id uuid        NOT NULL,
    at         timestamptz NOT NULL,
    hit        uuid        NOT NULL,
    message_id uuid        NOT NULL,
    kind       text        NOT NULL,                 -- opened, clicked
    person     boolean     NOT NULL,
    rules      integer     NOT NULL,
    revision   integer     NOT NULL,
    PRIMARY KEY (contact_id, at, hit)
);
INSERT INTO hits SELECT contact_id, at, message_id, message_id, 'clicked', true, 0, 0 FROM clicks;
DROP TABLE clicks;

-- What people wrote, and the message that it is owed to: the last one before it that left for them on that channel.
CREATE TABLE replies (
    contact_id uuid        NOT NULL,
    at         timestamptz NOT NULL,
    reply_id   uuid        NOT NULL,
    channel    text        NOT NULL,
    message_id uuid,
    PRIMARY KEY (contact_id, at, reply_id)
) WITH (fillfactor = 90);

-- Consents that were revoked, owed in the same way; `told`: the message by whose link or mailbox it was done, then nothing has to be found.
CREATE TABLE opt_outs (
    contact_id uuid        NOT NULL,
    at         timestamptz NOT NULL,
    channel    text        NOT NULL,                 -- '' where only the message is told
    told       uuid,
    message_id uuid,
    PRIMARY KEY (contact_id, at, channel)
) WITH (fillfactor = 90);

-- Times as they were told; what follows from them is said below. `left_at` is stored for its index: the messages of a contact in order.
ALTER TABLE messages DROP COLUMN period, DROP COLUMN sent, DROP COLUMN delivered, DROP COLUMN opened, DROP COLUMN clicked, DROP COLUMN converted,
    DROP COLUMN opened_machine, DROP COLUMN clicked_machine, DROP COLUMN failed, DROP COLUMN unknown, DROP COLUMN suppressed, DROP COLUMN expired;
ALTER TABLE messages
    ADD COLUMN held_at           timestamptz,        -- the latest, not the first: what a message waits for changes
    ADD COLUMN complained_at     timestamptz,
    ADD COLUMN unsubscribed_at   timestamptz,        -- by a link of this message
    ADD COLUMN bounced_at        timestamptz,        -- failed because the address is of no use
    ADD COLUMN failed_reason     text COLLATE "C",   -- of the first time; null as long as there is none
    ADD COLUMN unknown_reason    text COLLATE "C",
    ADD COLUMN suppressed_reason text COLLATE "C",
    ADD COLUMN expired_reason    text COLLATE "C",
    ADD COLUMN held_reason       text COLLATE "C",   -- of the latest time
    ADD COLUMN segments          integer NOT NULL DEFAULT 0,
    ADD COLUMN priced_at         timestamptz,
    ADD COLUMN price             numeric,
    ADD COLUMN currency          text COLLATE "C",
    ADD COLUMN replies           integer NOT NULL DEFAULT 0,
    ADD COLUMN opt_outs          integer NOT NULL DEFAULT 0,
    ADD COLUMN left_at    timestamptz GENERATED ALWAYS AS (LEAST(sent_at, delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at)) STORED,
    ADD COLUMN arrived_at timestamptz GENERATED ALWAYS AS (LEAST(delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at)),
    ADD COLUMN period     timestamptz GENERATED ALWAYS AS (CASE WHEN cell_id IS NOT NULL THEN date_bin('15 minutes', COALESCE(
        LEAST(sent_at, delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at),
        LEAST(failed_at, unknown_at, suppressed_at, expired_at), held_at), '2000-01-01 00:00:00+00') END);
-- What a row counts. `dead`: it failed and never arrived; an answer to anything else proves that it did. So of what is counted nothing is ever more than
-- `delivered`, and that never more than `sent`.
ALTER TABLE messages
    ADD COLUMN dead      boolean GENERATED ALWAYS AS (failed_at IS NOT NULL
        AND COALESCE(delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at) IS NULL),
    ADD COLUMN sent      integer GENERATED ALWAYS AS (
        (COALESCE(sent_at, delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at) IS NOT NULL)::integer),
    ADD COLUMN delivered integer GENERATED ALWAYS AS ((COALESCE(delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at) IS NOT NULL
        OR (sent_at IS NOT NULL AND failed_at IS NULL AND replies + opt_outs > 0))::integer),
    ADD COLUMN opened    integer GENERATED ALWAYS AS ((COALESCE(opened_at, read_at) IS NOT NULL)::integer),
    ADD COLUMN clicked   integer GENERATED ALWAYS AS ((clicked_at IS NOT NULL)::integer),
    ADD COLUMN replied   integer GENERATED ALWAYS AS ((replies > 0 AND (
        COALESCE(delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at) IS NOT NULL
        OR (sent_at IS NOT NULL AND failed_at IS NULL)))::integer),
    ADD COLUMN converted integer GENERATED ALWAYS AS ((orders > 0
        AND COALESCE(delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at) IS NOT NULL)::integer),
    ADD COLUMN opted_out integer GENERATED ALWAYS AS ((COALESCE(unsubscribed_at, complained_at) IS NOT NULL OR (opt_outs > 0 AND (
        COALESCE(delivered_at, read_at, opened_at, clicked_at) IS NOT NULL OR (sent_at IS NOT NULL AND failed_at IS NULL))))::integer),
    ADD COLUMN complained integer GENERATED ALWAYS AS ((complained_at IS NOT NULL)::integer),
    ADD COLUMN opened_machine integer GENERATED ALWAYS AS ((opened_machine_at IS NOT NULL
        AND COALESCE(sent_at, delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at) IS NOT NULL)::integer),
    ADD COLUMN clicked_machine integer GENERATED ALWAYS AS ((clicked_machine_at IS NOT NULL
        AND COALESCE(sent_at, delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at) IS NOT NULL)::integer),
    ADD COLUMN units integer GENERATED ALWAYS AS (CASE
        WHEN COALESCE(sent_at, delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at) IS NOT NULL THEN segments ELSE 0 END),
    -- What is more certain wins: a message that arrived has not failed, one that went out was not held back.
    ADD COLUMN failed integer GENERATED ALWAYS AS ((failed_at IS NOT NULL
        AND COALESCE(delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at) IS NULL)::integer),
    ADD COLUMN bounced integer GENERATED ALWAYS AS ((bounced_at IS NOT NULL AND sent_at IS NOT NULL
        AND COALESCE(delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at) IS NULL)::integer),
    ADD COLUMN unknown integer GENERATED ALWAYS AS ((unknown_at IS NOT NULL
        AND COALESCE(sent_at, delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at, failed_at) IS NULL)::integer),
    ADD COLUMN suppressed integer GENERATED ALWAYS AS ((suppressed_at IS NOT NULL
        AND COALESCE(sent_at, delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at, failed_at, unknown_at) IS NULL)::integer),
    ADD COLUMN expired integer GENERATED ALWAYS AS ((expired_at IS NOT NULL AND COALESCE(sent_at, delivered_at, read_at, opened_at, clicked_at,
        complained_at, unsubscribed_at, failed_at, unknown_at, suppressed_at) IS NULL)::integer),
    -- The one of failed, unknown, suppressed, expired and held that holds, if any, and why.
    ADD COLUMN ended text GENERATED ALWAYS AS (CASE
        WHEN COALESCE(delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at) IS NOT NULL THEN NULL
        WHEN failed_at IS NOT NULL THEN 'failed' WHEN sent_at IS NOT NULL THEN NULL WHEN unknown_at IS NOT NULL THEN 'unknown'
        WHEN suppressed_at IS NOT NULL THEN 'suppressed' WHEN expired_at IS NOT NULL THEN 'expired' WHEN held_at IS NOT NULL THEN 'held' END),
    ADD COLUMN why text COLLATE "C" GENERATED ALWAYS AS (CASE
        WHEN failed_at IS NOT NULL THEN failed_reason WHEN unknown_at IS NOT NULL THEN unknown_reason WHEN suppressed_at IS NOT NULL THEN suppressed_reason
        WHEN expired_at IS NOT NULL THEN expired_reason ELSE held_reason END);
UPDATE messages SET failed_reason = CASE WHEN failed_at IS NOT NULL THEN '' END, unknown_reason = CASE WHEN unknown_at IS NOT NULL THEN '' END,
    suppressed_reason = CASE WHEN suppressed_at IS NOT NULL THEN '' END, expired_reason = CASE WHEN expired_at IS NOT NULL THEN '' END
WHERE COALESCE(failed_at, unknown_at, suppressed_at, expired_at) IS NOT NULL;
DROP INDEX messages_of_contact;
CREATE INDEX messages_of_contact ON messages (contact_id, left_at);

-- One row a person and cell: of how many messages there each thing is so. `first_sent_at` null: of none any more.
DROP TABLE people;
CREATE TABLE people (
    cell_id       uuid    NOT NULL,
    contact_id    uuid    NOT NULL,
    first_sent_at timestamptz,
    delivered     integer NOT NULL,
    opened        integer NOT NULL,
    clicked       integer NOT NULL,
    replied       integer NOT NULL,
    converted     integer NOT NULL,
    opted_out     integer NOT NULL,
    period timestamptz GENERATED ALWAYS AS (date_bin('15 minutes', first_sent_at, '2000-01-01 00:00:00+00')),
    PRIMARY KEY (cell_id, contact_id)
) WITH (fillfactor = 60);

DROP TABLE counters;
CREATE TABLE counters (
    cell_id          uuid        NOT NULL,
    period           timestamptz NOT NULL,
    sent             bigint NOT NULL DEFAULT 0,
    delivered        bigint NOT NULL DEFAULT 0,
    opened           bigint NOT NULL DEFAULT 0,
    clicked          bigint NOT NULL DEFAULT 0,
    replied          bigint NOT NULL DEFAULT 0,
    converted        bigint NOT NULL DEFAULT 0,
    opted_out        bigint NOT NULL DEFAULT 0,
    complained       bigint NOT NULL DEFAULT 0,
    bounced          bigint NOT NULL DEFAULT 0,
    failed           bigint NOT NULL DEFAULT 0,
    unknown          bigint NOT NULL DEFAULT 0,
    suppressed       bigint NOT NULL DEFAULT 0,
    expired          bigint NOT NULL DEFAULT 0,
    opened_machine   bigint NOT NULL DEFAULT 0,
    clicked_machine  bigint NOT NULL DEFAULT 0,
    segments         bigint NOT NULL DEFAULT 0,
    people_sent      bigint NOT NULL DEFAULT 0,
    people_delivered bigint NOT NULL DEFAULT 0,
    people_opened    bigint NOT NULL DEFAULT 0,
    people_clicked   bigint NOT NULL DEFAULT 0,
    people_replied   bigint NOT NULL DEFAULT 0,
    people_converted bigint NOT NULL DEFAULT 0,
    people_opted_out bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (cell_id, period)
) WITH (fillfactor = 30);
CREATE INDEX counters_by_period ON counters (period);

-- What reached goals, and where each stands in the figures: under a cell and the quarter of its message, or, owed to none, under its own quarter.
-- `period` null: in none yet.
ALTER TABLE orders ADD COLUMN goal text NOT NULL DEFAULT 'order.placed', ADD COLUMN cell_id uuid, ADD COLUMN period timestamptz;
ALTER TABLE orders ALTER COLUMN goal DROP DEFAULT, DROP CONSTRAINT orders_pkey, ADD PRIMARY KEY (tenant, goal, order_id);
DROP INDEX orders_by_contact;
CREATE INDEX orders_by_contact ON orders (contact_id, at);

-- Orders owed to messages and their value, and what providers said that messages cost; by the quarter of the message.
CREATE TABLE money (
    cell_id  uuid        NOT NULL,
    period   timestamptz NOT NULL,
    currency text        NOT NULL,
    orders   bigint  NOT NULL DEFAULT 0,
    revenue  numeric NOT NULL DEFAULT 0,
    cost     numeric NOT NULL DEFAULT 0,
    PRIMARY KEY (cell_id, period, currency)
) WITH (fillfactor = 60);

-- What each person of a cell spent; and of all of them how many there are, what they spent, and the sum of its squares.
CREATE TABLE spenders (
    cell_id    uuid NOT NULL,
    contact_id uuid NOT NULL,
    currency   text NOT NULL,
    orders     integer NOT NULL,
    total      numeric NOT NULL,
    PRIMARY KEY (cell_id, contact_id, currency)
) WITH (fillfactor = 80);
CREATE TABLE worth (
    cell_id  uuid NOT NULL,
    currency text NOT NULL,
    people   bigint  NOT NULL DEFAULT 0,
    total    numeric NOT NULL DEFAULT 0,
    squares  numeric NOT NULL DEFAULT 0,
    PRIMARY KEY (cell_id, currency)
) WITH (fillfactor = 60);

-- What is owed to no message, by the quarter in which it happened.
CREATE TABLE unowed (
    tenant   text        NOT NULL,
    goal     text        NOT NULL,
    period   timestamptz NOT NULL,
    currency text        NOT NULL,
    happened bigint  NOT NULL DEFAULT 0,
    value    numeric NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, goal, period, currency)
) WITH (fillfactor = 60);

-- Why messages did not arrive, or still wait: failed, unknown, suppressed, expired, held.
CREATE TABLE reasons (
    cell_id  uuid        NOT NULL,
    period   timestamptz NOT NULL,
    status   text        NOT NULL,
    reason   text        NOT NULL,
    messages bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (cell_id, period, status, reason)
) WITH (fillfactor = 60);

-- The figures of what was counted before.
UPDATE orders SET cell_id = m.cell_id, period = m.period FROM messages m WHERE m.message_id = orders.message_id AND m.period IS NOT NULL;
UPDATE orders SET period = date_bin('15 minutes', at, '2000-01-01 00:00:00+00') WHERE period IS NULL;
INSERT INTO people SELECT cell_id, contact_id, min(left_at), sum(delivered), sum(opened), sum(clicked), sum(replied), sum(converted), sum(opted_out)
FROM messages WHERE cell_id IS NOT NULL AND left_at IS NOT NULL GROUP BY cell_id, contact_id;
INSERT INTO counters
SELECT cell_id, period, sum(sent), sum(delivered), sum(opened), sum(clicked), sum(replied), sum(converted), sum(opted_out), sum(complained), sum(bounced),
    sum(failed), sum(unknown), sum(suppressed), sum(expired), sum(opened_machine), sum(clicked_machine), sum(segments),
    sum(people_sent), sum(people_delivered), sum(people_opened), sum(people_clicked), sum(people_replied), sum(people_converted), sum(people_opted_out)
FROM (
    SELECT cell_id, period, sent, delivered, opened, clicked, replied, converted, opted_out, complained, bounced, failed, unknown, suppressed, expired,
        opened_machine, clicked_machine, units AS segments, 0 AS people_sent, 0 AS people_delivered, 0 AS people_opened, 0 AS people_clicked,
        0 AS people_replied, 0 AS people_converted, 0 AS people_opted_out
    FROM messages
    UNION ALL
    SELECT cell_id, period, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, (delivered > 0)::integer, (opened > 0)::integer, (clicked > 0)::integer,
        (replied > 0)::integer, (converted > 0)::integer, (opted_out > 0)::integer
    FROM people
) AS counted WHERE period IS NOT NULL GROUP BY cell_id, period;
INSERT INTO reasons SELECT cell_id, period, ended, COALESCE(why, ''), count(*) FROM messages
WHERE period IS NOT NULL AND ended IS NOT NULL GROUP BY 1, 2, 3, 4;
INSERT INTO money SELECT cell_id, period, currency, count(*), sum(value) FROM orders WHERE cell_id IS NOT NULL GROUP BY 1, 2, 3;
INSERT INTO spenders SELECT cell_id, contact_id, currency, count(*), sum(value) FROM orders WHERE cell_id IS NOT NULL GROUP BY 1, 2, 3;
INSERT INTO worth SELECT cell_id, currency, count(*), sum(total), sum(total * total) FROM spenders GROUP BY 1, 2;
INSERT INTO unowed SELECT tenant, goal, period, currency, count(*), sum(value) FROM orders WHERE cell_id IS NULL GROUP BY 1, 2, 3, 4;
