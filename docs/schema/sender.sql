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
    gate jsonb,
    CONSTRAINT attempts_pkey PRIMARY KEY (message_id, attempt)
);

CREATE TABLE consents (
    contact_id uuid NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    state text NOT NULL,
    at timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    tenant text,
    address text,
    at_night boolean NOT NULL DEFAULT false,
    CONSTRAINT consents_pkey PRIMARY KEY (contact_id, channel, purpose)
);
CREATE INDEX consents_of_address ON consents USING btree (tenant, channel, address, purpose) WHERE (address IS NOT NULL);

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
    called_at timestamp with time zone,
    provider_id text,
    requested_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    changed_at timestamp with time zone NOT NULL DEFAULT now(),
    timezone text,
    priority integer NOT NULL DEFAULT 0,
    fallback_after integer,
    instead_of uuid,
    price numeric,
    currency text,
    told_segments integer,
    route jsonb,
    language text,
    called_back_at timestamp with time zone,
    CONSTRAINT deliveries_pkey PRIMARY KEY (message_id)
) WITH (fillfactor=80);
CREATE INDEX deliveries_by_provider ON deliveries USING btree (lane, provider_id) WHERE (provider_id IS NOT NULL);
CREATE INDEX deliveries_called ON deliveries USING brin (called_at);
CREATE INDEX deliveries_of_contact ON deliveries USING btree (contact_id);
CREATE INDEX deliveries_told_instead ON deliveries USING btree (instead_of) WHERE (instead_of IS NOT NULL);
CREATE INDEX deliveries_unknown ON deliveries USING btree (tenant, changed_at, message_id) WHERE (status = 'unknown'::text);
CREATE INDEX deliveries_unread ON deliveries USING btree (lane, address) WHERE ((status = ANY (ARRAY['sent'::text, 'delivered'::text])) AND (channel = ANY (ARRAY['messenger'::text, 'instagram'::text, 'inapp'::text])));

CREATE TABLE fallbacks (
    message_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    request jsonb NOT NULL,
    look_at timestamp with time zone,
    CONSTRAINT fallbacks_pkey PRIMARY KEY (message_id)
) WITH (fillfactor=80);
CREATE INDEX fallbacks_due ON fallbacks USING btree (look_at) WHERE (look_at IS NOT NULL);
CREATE INDEX fallbacks_of_contact ON fallbacks USING btree (contact_id);

CREATE TABLE inquiries (
    message_id uuid NOT NULL,
    attempt integer NOT NULL,
    asked integer NOT NULL DEFAULT 0,
    next_at timestamp with time zone,
    resent boolean NOT NULL DEFAULT false,
    CONSTRAINT inquiries_pkey PRIMARY KEY (message_id)
) WITH (fillfactor=70);
CREATE INDEX inquiries_due ON inquiries USING btree (next_at) WHERE (next_at IS NOT NULL);

CREATE TABLE lanes (
    lane text NOT NULL,
    fence bigint NOT NULL DEFAULT 0,
    turn bigint NOT NULL DEFAULT 0,
    pending bytea NOT NULL DEFAULT '\x'::bytea STORAGE EXTERNAL,
    moved_at timestamp with time zone NOT NULL DEFAULT now(),
    paused_by text,
    paused_at timestamp with time zone,
    rate text,
    broken_until timestamp with time zone,
    handed jsonb,
    handed_at timestamp with time zone,
    handed_fence bigint,
    handed_turn bigint,
    CONSTRAINT lanes_pkey PRIMARY KEY (lane)
) WITH (fillfactor=50);

CREATE TABLE lines (
    line integer NOT NULL GENERATED ALWAYS AS IDENTITY,
    part text NOT NULL,
    purpose text NOT NULL,
    tenant text NOT NULL,
    campaign text NOT NULL,
    CONSTRAINT lines_part_purpose_tenant_campaign_key UNIQUE (part, purpose, tenant, campaign),
    CONSTRAINT lines_pkey PRIMARY KEY (line)
);

CREATE TABLE migrations (
    name text NOT NULL,
    applied_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT migrations_pkey PRIMARY KEY (name)
);

CREATE TABLE notes (
    message_id uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    what text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'::jsonb
);
CREATE INDEX notes_of_message ON notes USING btree (message_id, at);

CREATE TABLE outbox (
    seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    records bytea NOT NULL STORAGE EXTERNAL,
    at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT outbox_pkey PRIMARY KEY (seq)
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

CREATE TABLE queue (
    message_id uuid NOT NULL,
    line integer NOT NULL,
    state text NOT NULL,
    place bigint NOT NULL,
    contact_id uuid NOT NULL,
    chain integer NOT NULL,
    seq bigint NOT NULL,
    units integer NOT NULL,
    due_at timestamp with time zone NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,
    parts_done integer NOT NULL DEFAULT 0,
    doubt boolean NOT NULL DEFAULT false,
    reserved timestamp with time zone,
    fence bigint,
    called_at timestamp with time zone,
    CONSTRAINT queue_pkey PRIMARY KEY (message_id),
    CONSTRAINT queue_state_check CHECK ((state = ANY (ARRAY['ready'::text, 'timed'::text, 'behind'::text, 'calling'::text])))
) WITH (fillfactor=70, autovacuum_vacuum_scale_factor=0.05, autovacuum_vacuum_threshold=20000, autovacuum_vacuum_cost_delay=0);
CREATE INDEX queue_behind ON queue USING btree (contact_id, chain) WHERE (state = 'behind'::text);
CREATE INDEX queue_calling ON queue USING btree (line) WHERE (state = 'calling'::text);
CREATE INDEX queue_chain ON queue USING btree (contact_id, chain, seq);
CREATE INDEX queue_failed ON queue USING btree (line) WHERE ((state = 'timed'::text) AND (failures > 0));
CREATE INDEX queue_ready ON queue USING btree (line, place) WHERE (state = 'ready'::text);
CREATE INDEX queue_timed ON queue USING btree (due_at, seq) WHERE (state = 'timed'::text);

CREATE TABLE refusals (
    digest bytea NOT NULL,
    purpose text NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT refusals_pkey PRIMARY KEY (digest, purpose)
);

CREATE TABLE requests (
    tenant text NOT NULL,
    key text NOT NULL,
    digest bytea NOT NULL,
    status smallint NOT NULL,
    answer bytea NOT NULL,
    location text,
    asked_at timestamp with time zone NOT NULL,
    CONSTRAINT requests_pkey PRIMARY KEY (tenant, key)
);
CREATE INDEX requests_by_age ON requests USING btree (asked_at);

CREATE TABLE suppressions (
    tenant text NOT NULL,
    channel text NOT NULL,
    address text NOT NULL,
    reason text NOT NULL,
    since timestamp with time zone NOT NULL,
    account text NOT NULL DEFAULT ''::text,
    note text,
    by text,
    CONSTRAINT suppressions_pkey PRIMARY KEY (address, channel, tenant, account)
);
CREATE INDEX suppressions_of_tenant ON suppressions USING btree (tenant, since, channel, address, account);

CREATE TABLE touches (
    contact_id uuid NOT NULL,
    purpose text NOT NULL,
    times timestamp with time zone[] NOT NULL DEFAULT '{}'::timestamp with time zone[],
    CONSTRAINT touches_pkey PRIMARY KEY (contact_id, purpose)
) WITH (fillfactor=80);

CREATE TABLE webhook_posts (
    webhook_id uuid NOT NULL,
    event_id text NOT NULL,
    type text NOT NULL,
    body text NOT NULL,
    personal uuid,
    state text NOT NULL DEFAULT 'due'::text,
    due_at timestamp with time zone NOT NULL,
    leased_until timestamp with time zone,
    attempt integer NOT NULL DEFAULT 0,
    tries integer NOT NULL DEFAULT 0,
    answers jsonb NOT NULL DEFAULT '[]'::jsonb,
    noted_at timestamp with time zone NOT NULL,
    CONSTRAINT webhook_posts_pkey PRIMARY KEY (webhook_id, event_id)
) WITH (fillfactor=80);
CREATE INDEX webhook_posts_due ON webhook_posts USING btree (webhook_id, due_at) WHERE (state = 'due'::text);
CREATE INDEX webhook_posts_listed ON webhook_posts USING btree (webhook_id, noted_at, event_id);
CREATE INDEX webhook_posts_old ON webhook_posts USING brin (noted_at) WITH (autosummarize='on');
CREATE INDEX webhook_posts_open ON webhook_posts USING btree (webhook_id, noted_at) WHERE (state <> 'sent'::text);
CREATE INDEX webhook_posts_personal ON webhook_posts USING btree (personal) WHERE (personal IS NOT NULL);

CREATE TABLE webhooks (
    id uuid NOT NULL,
    tenant text NOT NULL,
    url text NOT NULL,
    types text[] NOT NULL,
    description text NOT NULL,
    generation integer NOT NULL DEFAULT 1,
    previous_until timestamp with time zone,
    failing_since timestamp with time zone,
    paused_until timestamp with time zone,
    disabled_at timestamp with time zone,
    disabled_reason text,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT webhooks_pkey PRIMARY KEY (id)
) WITH (fillfactor=70);
CREATE INDEX webhooks_of_tenant ON webhooks USING btree (tenant);

CREATE TABLE windows (
    lane text NOT NULL,
    address text NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT windows_pkey PRIMARY KEY (lane, address)
) WITH (fillfactor=80);

-- Beside the tables:
-- FUNCTION chain_of(text,text,text)
-- FUNCTION look_at_fallback()
-- SEQUENCE deliveries_seq_seq
-- SEQUENCE lines_line_seq
-- SEQUENCE outbox_seq_seq
-- SEQUENCE places
-- TRIGGER deliveries_fall_back ON deliveries
