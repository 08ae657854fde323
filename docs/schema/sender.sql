-- The schema `sender` as its migrations make it, tables and indexes by name. Why each thing is there stands in the migrations.
-- Made by `make docs`.

CREATE TABLE attempts (
    message_id uuid NOT NULL,
    attempt integer NOT NULL,
    fence bigint NOT NULL,
    called_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone NOT NULL,
    outcome text NOT NULL,
    code text,
    reason text,
    provider_id text,
    CONSTRAINT attempts_pkey PRIMARY KEY (message_id, attempt)
);

CREATE TABLE consents (
    contact_id uuid NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    state text NOT NULL,
    at timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    CONSTRAINT consents_pkey PRIMARY KEY (contact_id, channel, purpose)
);

CREATE TABLE cursors (
    stage text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    pending bytea NOT NULL DEFAULT '\x'::bytea STORAGE EXTERNAL,
    moved_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT cursors_pkey PRIMARY KEY (stage, topic, partition)
) WITH (fillfactor=50);

CREATE TABLE deliveries (
    message_id uuid NOT NULL,
    seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    tenant text NOT NULL,
    contact_id uuid NOT NULL,
    lane text NOT NULL,
    channel text NOT NULL,
    address text NOT NULL,
    purpose text NOT NULL,
    notice text,
    campaign text,
    variant text,
    flow text,
    step text,
    conversation_id uuid,
    content jsonb NOT NULL,
    segments integer NOT NULL,
    status text NOT NULL,
    reason text,
    due_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    attempt integer NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,
    parts integer NOT NULL DEFAULT 1,
    parts_done integer NOT NULL DEFAULT 0,
    fence bigint,
    called_at timestamp with time zone,
    provider_id text,
    requested_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    changed_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT deliveries_pkey PRIMARY KEY (message_id)
) WITH (fillfactor=80);
CREATE INDEX deliveries_by_provider ON deliveries USING btree (lane, provider_id) WHERE (provider_id IS NOT NULL);
CREATE INDEX deliveries_calling ON deliveries USING btree (lane) WHERE (status = 'calling'::text);
CREATE INDEX deliveries_due ON deliveries USING btree (lane, purpose, due_at, seq) WHERE (status = 'queued'::text);
CREATE INDEX deliveries_of_contact ON deliveries USING btree (contact_id);
CREATE INDEX deliveries_open ON deliveries USING btree (contact_id, lane, purpose, seq) WHERE (status = ANY (ARRAY['queued'::text, 'calling'::text]));
CREATE INDEX deliveries_unread ON deliveries USING btree (lane, address) WHERE ((status = ANY (ARRAY['sent'::text, 'delivered'::text])) AND (channel = ANY (ARRAY['messenger'::text, 'instagram'::text, 'inapp'::text])));

CREATE TABLE lanes (
    lane text NOT NULL,
    fence bigint NOT NULL DEFAULT 0,
    turn bigint NOT NULL DEFAULT 0,
    pending bytea NOT NULL DEFAULT '\x'::bytea STORAGE EXTERNAL,
    moved_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT lanes_pkey PRIMARY KEY (lane)
) WITH (fillfactor=50);

CREATE TABLE migrations (
    name text NOT NULL,
    applied_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT migrations_pkey PRIMARY KEY (name)
);

CREATE TABLE parked (
    lane text NOT NULL,
    provider_id text NOT NULL,
    status text NOT NULL,
    code text,
    at timestamp with time zone NOT NULL,
    parked_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT parked_pkey PRIMARY KEY (lane, provider_id, status)
);

CREATE TABLE refusals (
    digest bytea NOT NULL,
    purpose text NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT refusals_pkey PRIMARY KEY (digest, purpose)
);

CREATE TABLE suppressions (
    tenant text NOT NULL,
    channel text NOT NULL,
    address text NOT NULL,
    reason text NOT NULL,
    since timestamp with time zone NOT NULL,
    CONSTRAINT suppressions_pkey PRIMARY KEY (tenant, channel, address)
);

-- Beside the tables:
-- SEQUENCE deliveries_seq_seq
