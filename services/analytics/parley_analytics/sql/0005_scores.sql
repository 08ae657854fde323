-- What people are like: scores as they were told, how far the round has come, and what is known of the many to judge one.

-- The buyers of a tenant in order of their ids, which are hashes: the first thousands are a fair sample.
CREATE INDEX orders_by_buyer ON orders (tenant, goal, contact_id);

CREATE TABLE scores (
    contact_id      uuid PRIMARY KEY,
    tenant          text        NOT NULL,
    fan             integer     NOT NULL,
    silent          integer     NOT NULL,
    best_hour       integer,
    best_hour_of    text,                            -- contact, segment, tenant
    order_again     double precision,
    next_order_days double precision,
    lifetime_value  numeric,
    currency        text,
    told_at         timestamptz NOT NULL             -- the round that told it
) WITH (fillfactor = 80);

-- The one round: all are scored as of its moment, in order of their ids; `position` is the last of them. Whoever scores has locked the row.
CREATE TABLE scoring (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    round    timestamptz NOT NULL,
    position uuid        NOT NULL,
    ended    boolean     NOT NULL
);
INSERT INTO scoring (round, position, ended) VALUES ('1970-01-01 00:00:00+00', '00000000-0000-0000-0000-000000000000', true);

-- Acts by hour of the tenant's clock, of all and by channel ('': all): as the last round found them, and as this one has so far.
CREATE TABLE habits (
    tenant  text NOT NULL,
    channel text NOT NULL,
    hours   double precision[] NOT NULL,
    coming  double precision[] NOT NULL,
    PRIMARY KEY (tenant, channel)
);

-- How the buyers of a tenant order, as of a round.
CREATE TABLE forecasts (
    tenant text PRIMARY KEY,
    round  timestamptz NOT NULL,
    model  jsonb       NOT NULL
);

-- The next contact of whom anything is known, by four looks into indexes.
CREATE FUNCTION person_after(contact uuid) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT contact_id FROM (
        (SELECT contact_id FROM messages WHERE contact_id > contact ORDER BY contact_id LIMIT 1)
        UNION ALL (SELECT contact_id FROM orders WHERE contact_id > contact ORDER BY contact_id LIMIT 1)
        UNION ALL (SELECT contact_id FROM replies WHERE contact_id > contact ORDER BY contact_id LIMIT 1)
        UNION ALL (SELECT contact_id FROM scores WHERE contact_id > contact ORDER BY contact_id LIMIT 1)
    ) AS known ORDER BY contact_id LIMIT 1
$$;
