-- What is known of messages, people, clicks and orders, and the counters made from it. A fact is the first time of something and only ever becomes
-- earlier, so order and repeats of events do not matter. What a row counts stands here once, as virtual columns: the counters are their sums, always.

-- The dimensions of a message. The id is made from them (uuid5), so nobody has to look it up. '' is none: a reply has no campaign.
CREATE TABLE cells (
    cell_id  uuid PRIMARY KEY,
    tenant   text NOT NULL,
    campaign text NOT NULL,
    channel  text NOT NULL,
    variant  text NOT NULL,
    purpose  text NOT NULL
);
CREATE INDEX cells_by_tenant ON cells (tenant);

-- One row a message. No column that changes is indexed, and pages keep room, so that updates stay in their page (HOT).
CREATE TABLE messages (
    message_id         uuid PRIMARY KEY,
    contact_id         uuid NOT NULL,
    cell_id            uuid,                         -- null while only engagement has come: then the row counts nowhere yet
    sent_at            timestamptz,
    delivered_at       timestamptz,
    read_at            timestamptz,
    opened_at          timestamptz,                  -- by a person, or told by a read receipt
    clicked_at         timestamptz,                  -- by a person
    opened_machine_at  timestamptz,
    clicked_machine_at timestamptz,
    failed_at          timestamptz,
    unknown_at         timestamptz,
    suppressed_at      timestamptz,
    expired_at         timestamptz,
    orders             integer NOT NULL DEFAULT 0,   -- attributed to a click in this message; the one thing that may be withdrawn
    -- Quarters of an hour, in UTC: every time zone's offset is a multiple of it, so a local day is a sum of whole periods.
    period timestamptz GENERATED ALWAYS AS (CASE WHEN cell_id IS NOT NULL THEN date_bin('15 minutes',
        COALESCE(sent_at, LEAST(failed_at, unknown_at, suppressed_at, expired_at)), '2000-01-01 00:00:00+00') END),
    sent            integer GENERATED ALWAYS AS ((sent_at IS NOT NULL)::integer),
    delivered       integer GENERATED ALWAYS AS ((delivered_at IS NOT NULL)::integer),
    opened          integer GENERATED ALWAYS AS ((opened_at IS NOT NULL)::integer),
    clicked         integer GENERATED ALWAYS AS ((clicked_at IS NOT NULL)::integer),
    converted       integer GENERATED ALWAYS AS ((orders > 0)::integer),
    opened_machine  integer GENERATED ALWAYS AS ((opened_machine_at IS NOT NULL AND sent_at IS NOT NULL)::integer),
    clicked_machine integer GENERATED ALWAYS AS ((clicked_machine_at IS NOT NULL AND sent_at IS NOT NULL)::integer),
    -- What is more certain wins: a message that arrived has not failed, one that went out was not held back.
    failed     integer GENERATED ALWAYS AS ((failed_at IS NOT NULL AND delivered_at IS NULL)::integer),
    unknown    integer GENERATED ALWAYS AS ((unknown_at IS NOT NULL AND COALESCE(sent_at, failed_at) IS NULL)::integer),
    suppressed integer GENERATED ALWAYS AS ((suppressed_at IS NOT NULL AND COALESCE(sent_at, failed_at, unknown_at) IS NULL)::integer),
    expired    integer GENERATED ALWAYS AS ((expired_at IS NOT NULL AND COALESCE(sent_at, failed_at, unknown_at, suppressed_at) IS NULL)::integer)
) WITH (fillfactor = 60);

-- One row a person and cell: what the messages of the cell came to with this person. Counted in the period in which the first of them was sent.
CREATE TABLE people (
    cell_id       uuid        NOT NULL,
    contact_id    uuid        NOT NULL,
    first_sent_at timestamptz NOT NULL,
    delivered     integer     NOT NULL,              -- 0 or 1
    opened        integer     NOT NULL,
    clicked       integer     NOT NULL,
    orders        integer     NOT NULL,
    period timestamptz GENERATED ALWAYS AS (date_bin('15 minutes', first_sent_at, '2000-01-01 00:00:00+00')),
    sent      integer GENERATED ALWAYS AS (1),
    converted integer GENERATED ALWAYS AS ((orders > 0)::integer),
    PRIMARY KEY (cell_id, contact_id)
) WITH (fillfactor = 60);

-- What the rates are made of.
CREATE TABLE counters (
    cell_id          uuid        NOT NULL,
    period           timestamptz NOT NULL,
    sent             bigint NOT NULL DEFAULT 0,
    delivered        bigint NOT NULL DEFAULT 0,
    opened           bigint NOT NULL DEFAULT 0,
    clicked          bigint NOT NULL DEFAULT 0,
    converted        bigint NOT NULL DEFAULT 0,
    opened_machine   bigint NOT NULL DEFAULT 0,
    clicked_machine  bigint NOT NULL DEFAULT 0,
    failed           bigint NOT NULL DEFAULT 0,
    unknown          bigint NOT NULL DEFAULT 0,
    suppressed       bigint NOT NULL DEFAULT 0,
    expired          bigint NOT NULL DEFAULT 0,
    people_sent      bigint NOT NULL DEFAULT 0,
    people_delivered bigint NOT NULL DEFAULT 0,
    people_opened    bigint NOT NULL DEFAULT 0,
    people_clicked   bigint NOT NULL DEFAULT 0,
    people_converted bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (cell_id, period)
) WITH (fillfactor = 30);
CREATE INDEX counters_by_period ON counters (period);

-- Clicks by people, and orders with the message they are owed to: a function of the two sets, computed anew for the contacts of each batch.
CREATE TABLE clicks (
    contact_id uuid        NOT NULL,
    at         timestamptz NOT NULL,
    message_id uuid        NOT NULL,
    PRIMARY KEY (contact_id, at, message_id)
);
CREATE TABLE orders (
    tenant     text        NOT NULL,
    order_id   text        NOT NULL,
    contact_id uuid        NOT NULL,
    at         timestamptz NOT NULL,
    value      numeric     NOT NULL,
    currency   text        NOT NULL,
    message_id uuid,                                 -- the attribution; null: no click in the window
    PRIMARY KEY (tenant, order_id)
) WITH (fillfactor = 80);
CREATE INDEX orders_by_contact ON orders (contact_id);
