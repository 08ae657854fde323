-- The schema `router` as its migrations make it, tables and indexes by name. Why each thing is there stands in the migrations.
-- Made by `make docs`.

CREATE TABLE calls (
    contact_id uuid NOT NULL,
    token text NOT NULL,
    tenant text NOT NULL,
    service text NOT NULL,
    wanted jsonb NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    asked_at timestamp with time zone,
    due_at timestamp with time zone NOT NULL,
    CONSTRAINT calls_pkey PRIMARY KEY (contact_id, token)
);
CREATE INDEX calls_by_due ON calls USING btree (service, due_at);

CREATE TABLE contacts (
    key uuid NOT NULL,
    tenant text NOT NULL,
    status text NOT NULL,
    reference uuid,
    state jsonb NOT NULL,
    positions bytea NOT NULL,
    changed_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT contacts_pkey PRIMARY KEY (key)
) WITH (fillfactor=70);
CREATE INDEX contacts_by_conversation ON contacts USING btree (reference) WHERE (reference IS NOT NULL);
CREATE INDEX contacts_waiting ON contacts USING btree (tenant, reference) WHERE (status = 'waiting'::text);

CREATE TABLE cursors (
    stage text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    pending bytea NOT NULL DEFAULT '\x'::bytea STORAGE EXTERNAL,
    moved_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT cursors_pkey PRIMARY KEY (stage, topic, partition)
) WITH (fillfactor=50);

CREATE TABLE flow_runs (
    tenant text NOT NULL,
    flow text NOT NULL,
    version integer NOT NULL,
    writer integer NOT NULL,
    waiting bigint NOT NULL,
    CONSTRAINT flow_runs_pkey PRIMARY KEY (tenant, flow, version, writer)
) WITH (fillfactor=50);

CREATE TABLE flow_versions (
    tenant text NOT NULL,
    flow text NOT NULL,
    version integer NOT NULL,
    file text NOT NULL,
    digest text NOT NULL,
    source text NOT NULL,
    published_at timestamp with time zone NOT NULL,
    retired_at timestamp with time zone,
    retired_to integer,
    change bigint NOT NULL,
    CONSTRAINT flow_versions_pkey PRIMARY KEY (tenant, flow, version)
);
CREATE INDEX flow_versions_by_change ON flow_versions USING btree (change);

CREATE TABLE migrations (
    name text NOT NULL,
    applied_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT migrations_pkey PRIMARY KEY (name)
);

CREATE TABLE timers (
    contact_id uuid NOT NULL,
    token text NOT NULL,
    tenant text NOT NULL,
    due_at timestamp with time zone NOT NULL,
    CONSTRAINT timers_pkey PRIMARY KEY (contact_id, token)
);
CREATE INDEX timers_by_due ON timers USING btree (due_at);
