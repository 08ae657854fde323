-- The schema `ingest` as its migrations make it, tables and indexes by name. Why each thing is there stands in the migrations.
-- Made by `make docs`.

CREATE TABLE addresses (
    tenant text NOT NULL,
    scheme text NOT NULL,
    address text NOT NULL,
    contact_id uuid NOT NULL,
    found_at timestamp with time zone NOT NULL DEFAULT now(),
    founds uuid,
    CONSTRAINT addresses_pkey PRIMARY KEY (tenant, scheme, address)
);
CREATE INDEX addresses_of_contact ON addresses USING btree (contact_id);
CREATE INDEX addresses_of_founded ON addresses USING btree (founds) WHERE (founds IS NOT NULL);

CREATE TABLE chat_messages (
    account text NOT NULL,
    visitor uuid NOT NULL,
    id uuid NOT NULL,
    seq bigint NOT NULL,
    version bigint NOT NULL,
    ours boolean NOT NULL,
    status text NOT NULL,
    text text NOT NULL,
    choice text,
    choices jsonb NOT NULL DEFAULT '[]'::jsonb,
    media jsonb NOT NULL DEFAULT '[]'::jsonb,
    at timestamp with time zone NOT NULL,
    CONSTRAINT chat_messages_pkey PRIMARY KEY (account, visitor, id)
);
CREATE INDEX chat_messages_by_age ON chat_messages USING btree (at);
CREATE INDEX chat_messages_by_change ON chat_messages USING btree (account, visitor, version);

CREATE TABLE chat_visitors (
    account text NOT NULL,
    visitor uuid NOT NULL,
    customer text,
    version bigint NOT NULL DEFAULT 0,
    seen_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT chat_visitors_pkey PRIMARY KEY (account, visitor)
);
CREATE INDEX chat_visitors_by_age ON chat_visitors USING btree (seen_at);
CREATE UNIQUE INDEX chat_visitors_of_customer ON chat_visitors USING btree (account, customer) WHERE (customer IS NOT NULL);

CREATE TABLE cursors (
    stage text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    pending bytea NOT NULL DEFAULT '\x'::bytea STORAGE EXTERNAL,
    moved_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT cursors_pkey PRIMARY KEY (stage, topic, partition)
) WITH (fillfactor=50);

CREATE TABLE handed (
    message_id uuid NOT NULL,
    status text NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT handed_pkey PRIMARY KEY (message_id, status)
);
CREATE INDEX handed_by_age ON handed USING btree (at);

CREATE TABLE heard (
    words text NOT NULL,
    account text NOT NULL,
    connection text NOT NULL,
    heard_at timestamp with time zone NOT NULL,
    CONSTRAINT heard_pkey PRIMARY KEY (account, words, heard_at)
);
CREATE INDEX heard_by_age ON heard USING btree (heard_at);

CREATE TABLE hits (
    id uuid NOT NULL,
    tenant text NOT NULL,
    contact_id uuid NOT NULL,
    message_id uuid NOT NULL,
    code text NOT NULL,
    kind text NOT NULL,
    method text NOT NULL,
    agent text NOT NULL,
    ahead boolean NOT NULL,
    language boolean NOT NULL,
    client text,
    at timestamp with time zone NOT NULL,
    settled boolean NOT NULL DEFAULT false,
    asked_at timestamp with time zone,
    CONSTRAINT hits_pkey PRIMARY KEY (id)
);
CREATE INDEX hits_by_age ON hits USING btree (at) WHERE settled;
CREATE INDEX hits_of_client ON hits USING btree (client, at) WHERE (client IS NOT NULL);
CREATE INDEX hits_of_message ON hits USING btree (message_id, at);
CREATE INDEX hits_open ON hits USING btree (at) WHERE (NOT settled);

CREATE TABLE links (
    code text NOT NULL,
    tenant text NOT NULL,
    contact_id uuid NOT NULL,
    message_id uuid NOT NULL,
    url text NOT NULL,
    minted_at timestamp with time zone NOT NULL,
    kind text NOT NULL DEFAULT 'link'::text,
    account text,
    channel text,
    address text,
    campaign text,
    CONSTRAINT links_pkey PRIMARY KEY (code)
);
CREATE INDEX links_of_contact ON links USING btree (contact_id);

CREATE TABLE merges (
    version bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    tenant text NOT NULL,
    kind text NOT NULL,
    contact_id uuid NOT NULL,
    other uuid,
    at timestamp with time zone NOT NULL,
    CONSTRAINT merges_kind_check CHECK ((kind = ANY (ARRAY['merged'::text, 'parted'::text]))),
    CONSTRAINT merges_pkey PRIMARY KEY (version)
);
CREATE INDEX merges_of_contact ON merges USING btree (tenant, contact_id);

CREATE TABLE migrations (
    name text NOT NULL,
    applied_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT migrations_pkey PRIMARY KEY (name)
);

CREATE TABLE parts (
    account text NOT NULL,
    whole text NOT NULL,
    number integer NOT NULL,
    body bytea NOT NULL,
    coding integer NOT NULL,
    heard_at timestamp with time zone NOT NULL,
    CONSTRAINT parts_pkey PRIMARY KEY (account, whole, number)
);
CREATE INDEX parts_by_age ON parts USING btree (heard_at);

CREATE TABLE seen (
    id uuid NOT NULL,
    seen_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT seen_pkey PRIMARY KEY (id)
);
CREATE INDEX seen_by_age ON seen USING btree (seen_at);

CREATE TABLE ties (
    tenant text NOT NULL,
    one_scheme text NOT NULL,
    one_address text NOT NULL,
    other_scheme text NOT NULL,
    other_address text NOT NULL,
    identified_at timestamp with time zone,
    merged_at timestamp with time zone,
    apart_at timestamp with time zone,
    CONSTRAINT ties_pkey PRIMARY KEY (tenant, one_scheme, one_address, other_scheme, other_address)
);
CREATE INDEX ties_of_other ON ties USING btree (tenant, other_scheme, other_address);

CREATE TABLE verifications (
    digest bytea NOT NULL,
    tenant text NOT NULL,
    customer jsonb NOT NULL,
    label text NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    CONSTRAINT verifications_pkey PRIMARY KEY (digest)
);
CREATE INDEX verifications_by_age ON verifications USING btree (expires_at);

-- Beside the tables:
-- SEQUENCE merges_version_seq
