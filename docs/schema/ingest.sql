-- The schema `ingest` as its migrations make it, tables and indexes by name. Why each thing is there stands in the migrations.
-- Made by `make docs`.

CREATE TABLE addresses (
    tenant text NOT NULL,
    scheme text NOT NULL,
    address text NOT NULL,
    contact_id uuid NOT NULL,
    found_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT addresses_pkey PRIMARY KEY (tenant, scheme, address)
);
CREATE INDEX addresses_of_contact ON addresses USING btree (contact_id);

CREATE TABLE cursors (
    stage text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    pending bytea NOT NULL DEFAULT '\x'::bytea STORAGE EXTERNAL,
    moved_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT cursors_pkey PRIMARY KEY (stage, topic, partition)
) WITH (fillfactor=50);

CREATE TABLE links (
    code text NOT NULL,
    tenant text NOT NULL,
    contact_id uuid NOT NULL,
    message_id uuid NOT NULL,
    url text NOT NULL,
    minted_at timestamp with time zone NOT NULL,
    CONSTRAINT links_pkey PRIMARY KEY (code)
);

CREATE TABLE migrations (
    name text NOT NULL,
    applied_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT migrations_pkey PRIMARY KEY (name)
);

CREATE TABLE seen (
    id uuid NOT NULL,
    seen_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT seen_pkey PRIMARY KEY (id)
);
CREATE INDEX seen_by_age ON seen USING btree (seen_at);
