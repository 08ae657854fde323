-- The schema `analytics` as its migrations make it, tables and indexes by name. Why each thing is there stands in the migrations.
-- Made by `make docs`.

CREATE TABLE cells (
    cell_id uuid NOT NULL,
    tenant text NOT NULL,
    campaign text NOT NULL,
    channel text NOT NULL,
    variant text NOT NULL,
    purpose text NOT NULL,
    CONSTRAINT cells_pkey PRIMARY KEY (cell_id)
);
CREATE INDEX cells_by_tenant ON cells USING btree (tenant);

CREATE TABLE clicks (
    contact_id uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    message_id uuid NOT NULL,
    CONSTRAINT clicks_pkey PRIMARY KEY (contact_id, at, message_id)
);

CREATE TABLE counters (
    cell_id uuid NOT NULL,
    period timestamp with time zone NOT NULL,
    sent bigint NOT NULL DEFAULT 0,
    delivered bigint NOT NULL DEFAULT 0,
    opened bigint NOT NULL DEFAULT 0,
    clicked bigint NOT NULL DEFAULT 0,
    converted bigint NOT NULL DEFAULT 0,
    opened_machine bigint NOT NULL DEFAULT 0,
    clicked_machine bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    unknown bigint NOT NULL DEFAULT 0,
    suppressed bigint NOT NULL DEFAULT 0,
    expired bigint NOT NULL DEFAULT 0,
    people_sent bigint NOT NULL DEFAULT 0,
    people_delivered bigint NOT NULL DEFAULT 0,
    people_opened bigint NOT NULL DEFAULT 0,
    people_clicked bigint NOT NULL DEFAULT 0,
    people_converted bigint NOT NULL DEFAULT 0,
    CONSTRAINT counters_pkey PRIMARY KEY (cell_id, period)
) WITH (fillfactor=30);
CREATE INDEX counters_by_period ON counters USING btree (period);

CREATE TABLE cursors (
    stage text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    pending bytea NOT NULL DEFAULT '\x'::bytea STORAGE EXTERNAL,
    moved_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT cursors_pkey PRIMARY KEY (stage, topic, partition)
) WITH (fillfactor=50);

CREATE TABLE erased (
    hashed bytea NOT NULL,
    other uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT erased_pkey PRIMARY KEY (hashed)
);

CREATE TABLE messages (
    message_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    cell_id uuid,
    sent_at timestamp with time zone,
    delivered_at timestamp with time zone,
    read_at timestamp with time zone,
    opened_at timestamp with time zone,
    clicked_at timestamp with time zone,
    opened_machine_at timestamp with time zone,
    clicked_machine_at timestamp with time zone,
    failed_at timestamp with time zone,
    unknown_at timestamp with time zone,
    suppressed_at timestamp with time zone,
    expired_at timestamp with time zone,
    orders integer NOT NULL DEFAULT 0,
    period timestamp with time zone GENERATED ALWAYS AS (
CASE
    WHEN (cell_id IS NOT NULL) THEN date_bin('00:15:00'::interval, COALESCE(sent_at, LEAST(failed_at, unknown_at, suppressed_at, expired_at)), '2000-01-01 00:00:00+00'::timestamp with time zone)
    ELSE NULL::timestamp with time zone
END) VIRTUAL,
    sent integer GENERATED ALWAYS AS (((sent_at IS NOT NULL))::integer) VIRTUAL,
    delivered integer GENERATED ALWAYS AS (((delivered_at IS NOT NULL))::integer) VIRTUAL,
    opened integer GENERATED ALWAYS AS (((opened_at IS NOT NULL))::integer) VIRTUAL,
    clicked integer GENERATED ALWAYS AS (((clicked_at IS NOT NULL))::integer) VIRTUAL,
    converted integer GENERATED ALWAYS AS (((orders > 0))::integer) VIRTUAL,
    opened_machine integer GENERATED ALWAYS AS ((((opened_machine_at IS NOT NULL) AND (sent_at IS NOT NULL)))::integer) VIRTUAL,
    clicked_machine integer GENERATED ALWAYS AS ((((clicked_machine_at IS NOT NULL) AND (sent_at IS NOT NULL)))::integer) VIRTUAL,
    failed integer GENERATED ALWAYS AS ((((failed_at IS NOT NULL) AND (delivered_at IS NULL)))::integer) VIRTUAL,
    unknown integer GENERATED ALWAYS AS ((((unknown_at IS NOT NULL) AND (COALESCE(sent_at, failed_at) IS NULL)))::integer) VIRTUAL,
    suppressed integer GENERATED ALWAYS AS ((((suppressed_at IS NOT NULL) AND (COALESCE(sent_at, failed_at, unknown_at) IS NULL)))::integer) VIRTUAL,
    expired integer GENERATED ALWAYS AS ((((expired_at IS NOT NULL) AND (COALESCE(sent_at, failed_at, unknown_at, suppressed_at) IS NULL)))::integer) VIRTUAL,
    CONSTRAINT messages_pkey PRIMARY KEY (message_id)
) WITH (fillfactor=60);
CREATE INDEX messages_of_contact ON messages USING btree (contact_id);

CREATE TABLE migrations (
    name text NOT NULL,
    applied_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT migrations_pkey PRIMARY KEY (name)
);

CREATE TABLE orders (
    tenant text NOT NULL,
    order_id text NOT NULL,
    contact_id uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    value numeric NOT NULL,
    currency text NOT NULL,
    message_id uuid,
    erased boolean NOT NULL DEFAULT false,
    CONSTRAINT orders_pkey PRIMARY KEY (tenant, order_id)
) WITH (fillfactor=80);
CREATE INDEX orders_by_contact ON orders USING btree (contact_id);

CREATE TABLE people (
    cell_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    first_sent_at timestamp with time zone NOT NULL,
    delivered integer NOT NULL,
    opened integer NOT NULL,
    clicked integer NOT NULL,
    orders integer NOT NULL,
    period timestamp with time zone GENERATED ALWAYS AS (date_bin('00:15:00'::interval, first_sent_at, '2000-01-01 00:00:00+00'::timestamp with time zone)) VIRTUAL,
    sent integer GENERATED ALWAYS AS (1) VIRTUAL,
    converted integer GENERATED ALWAYS AS (((orders > 0))::integer) VIRTUAL,
    CONSTRAINT people_pkey PRIMARY KEY (cell_id, contact_id)
) WITH (fillfactor=60);

CREATE TABLE talk_counts (
    tenant text NOT NULL,
    dimension text NOT NULL,
    grain text NOT NULL,
    period timestamp with time zone NOT NULL,
    value text NOT NULL,
    what text NOT NULL,
    place integer NOT NULL,
    n bigint NOT NULL,
    CONSTRAINT talk_counts_pkey PRIMARY KEY (tenant, dimension, grain, period, value, what, place)
) WITH (fillfactor=70);

CREATE TABLE talk_zones (
    tenant text NOT NULL,
    zone text NOT NULL,
    CONSTRAINT talk_zones_pkey PRIMARY KEY (tenant)
);

CREATE TABLE talks (
    conversation_id uuid NOT NULL,
    tenant text NOT NULL,
    opened_at timestamp with time zone,
    answered_at timestamp with time zone,
    escalated_at timestamp with time zone,
    assigned_at timestamp with time zone,
    replied_at timestamp with time zone,
    resolved_at timestamp with time zone,
    closed_at timestamp with time zone,
    overdue_at timestamp with time zone,
    channel told,
    flow told,
    team told,
    agent told,
    rated told,
    CONSTRAINT talks_pkey PRIMARY KEY (conversation_id)
) WITH (fillfactor=80);

-- Beside the tables:
-- FUNCTION talk_marks(talks)
-- FUNCTION talk_step(interval)
