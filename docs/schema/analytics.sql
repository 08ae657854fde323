-- The schema `analytics` as its migrations make it, tables and indexes by name. Why each thing is there stands in the migrations.
-- Made by `make docs`.

CREATE TABLE arms (
    design_id uuid NOT NULL,
    variant text NOT NULL,
    period timestamp with time zone NOT NULL,
    people bigint NOT NULL,
    opened bigint NOT NULL,
    clicked bigint NOT NULL,
    replied bigint NOT NULL,
    converted bigint NOT NULL,
    CONSTRAINT arms_pkey PRIMARY KEY (design_id, variant, period)
) WITH (fillfactor=60);

CREATE TABLE cells (
    cell_id uuid NOT NULL,
    tenant text NOT NULL,
    campaign text NOT NULL,
    channel text NOT NULL,
    variant text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    flow text NOT NULL,
    step text NOT NULL,
    CONSTRAINT cells_pkey PRIMARY KEY (cell_id)
);
CREATE INDEX cells_by_campaign ON cells USING btree (tenant, campaign);

CREATE TABLE counters (
    cell_id uuid NOT NULL,
    period timestamp with time zone NOT NULL,
    sent bigint NOT NULL DEFAULT 0,
    delivered bigint NOT NULL DEFAULT 0,
    opened bigint NOT NULL DEFAULT 0,
    clicked bigint NOT NULL DEFAULT 0,
    replied bigint NOT NULL DEFAULT 0,
    converted bigint NOT NULL DEFAULT 0,
    opted_out bigint NOT NULL DEFAULT 0,
    complained bigint NOT NULL DEFAULT 0,
    bounced bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    unknown bigint NOT NULL DEFAULT 0,
    suppressed bigint NOT NULL DEFAULT 0,
    expired bigint NOT NULL DEFAULT 0,
    opened_machine bigint NOT NULL DEFAULT 0,
    clicked_machine bigint NOT NULL DEFAULT 0,
    segments bigint NOT NULL DEFAULT 0,
    people_sent bigint NOT NULL DEFAULT 0,
    people_delivered bigint NOT NULL DEFAULT 0,
    people_opened bigint NOT NULL DEFAULT 0,
    people_clicked bigint NOT NULL DEFAULT 0,
    people_replied bigint NOT NULL DEFAULT 0,
    people_converted bigint NOT NULL DEFAULT 0,
    people_opted_out bigint NOT NULL DEFAULT 0,
    CONSTRAINT counters_pkey PRIMARY KEY (cell_id, period)
) WITH (fillfactor=30);
CREATE INDEX counters_by_period ON counters USING btree (period);

CREATE TABLE counters_broad_days (
    day date NOT NULL,
    sent integer NOT NULL DEFAULT 0,
    delivered integer NOT NULL DEFAULT 0,
    opened integer NOT NULL DEFAULT 0,
    clicked integer NOT NULL DEFAULT 0,
    replied integer NOT NULL DEFAULT 0,
    converted integer NOT NULL DEFAULT 0,
    opted_out integer NOT NULL DEFAULT 0,
    complained integer NOT NULL DEFAULT 0,
    bounced integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    unknown integer NOT NULL DEFAULT 0,
    suppressed integer NOT NULL DEFAULT 0,
    expired integer NOT NULL DEFAULT 0,
    opened_machine integer NOT NULL DEFAULT 0,
    clicked_machine integer NOT NULL DEFAULT 0,
    segments integer NOT NULL DEFAULT 0,
    people_sent integer NOT NULL DEFAULT 0,
    people_delivered integer NOT NULL DEFAULT 0,
    people_opened integer NOT NULL DEFAULT 0,
    people_clicked integer NOT NULL DEFAULT 0,
    people_replied integer NOT NULL DEFAULT 0,
    people_converted integer NOT NULL DEFAULT 0,
    people_opted_out integer NOT NULL DEFAULT 0,
    tenant text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    owned boolean NOT NULL,
    CONSTRAINT counters_broad_days_pkey PRIMARY KEY (tenant, day, channel, purpose, language, owned)
) WITH (fillfactor=50);

CREATE TABLE counters_broad_months (
    day date NOT NULL,
    sent integer NOT NULL DEFAULT 0,
    delivered integer NOT NULL DEFAULT 0,
    opened integer NOT NULL DEFAULT 0,
    clicked integer NOT NULL DEFAULT 0,
    replied integer NOT NULL DEFAULT 0,
    converted integer NOT NULL DEFAULT 0,
    opted_out integer NOT NULL DEFAULT 0,
    complained integer NOT NULL DEFAULT 0,
    bounced integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    unknown integer NOT NULL DEFAULT 0,
    suppressed integer NOT NULL DEFAULT 0,
    expired integer NOT NULL DEFAULT 0,
    opened_machine integer NOT NULL DEFAULT 0,
    clicked_machine integer NOT NULL DEFAULT 0,
    segments integer NOT NULL DEFAULT 0,
    people_sent integer NOT NULL DEFAULT 0,
    people_delivered integer NOT NULL DEFAULT 0,
    people_opened integer NOT NULL DEFAULT 0,
    people_clicked integer NOT NULL DEFAULT 0,
    people_replied integer NOT NULL DEFAULT 0,
    people_converted integer NOT NULL DEFAULT 0,
    people_opted_out integer NOT NULL DEFAULT 0,
    tenant text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    owned boolean NOT NULL,
    CONSTRAINT counters_broad_months_pkey PRIMARY KEY (tenant, day, channel, purpose, language, owned)
) WITH (fillfactor=50);

CREATE TABLE counters_broad_quarters (
    period timestamp with time zone NOT NULL,
    sent integer NOT NULL DEFAULT 0,
    delivered integer NOT NULL DEFAULT 0,
    opened integer NOT NULL DEFAULT 0,
    clicked integer NOT NULL DEFAULT 0,
    replied integer NOT NULL DEFAULT 0,
    converted integer NOT NULL DEFAULT 0,
    opted_out integer NOT NULL DEFAULT 0,
    complained integer NOT NULL DEFAULT 0,
    bounced integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    unknown integer NOT NULL DEFAULT 0,
    suppressed integer NOT NULL DEFAULT 0,
    expired integer NOT NULL DEFAULT 0,
    opened_machine integer NOT NULL DEFAULT 0,
    clicked_machine integer NOT NULL DEFAULT 0,
    segments integer NOT NULL DEFAULT 0,
    people_sent integer NOT NULL DEFAULT 0,
    people_delivered integer NOT NULL DEFAULT 0,
    people_opened integer NOT NULL DEFAULT 0,
    people_clicked integer NOT NULL DEFAULT 0,
    people_replied integer NOT NULL DEFAULT 0,
    people_converted integer NOT NULL DEFAULT 0,
    people_opted_out integer NOT NULL DEFAULT 0,
    tenant text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    owned boolean NOT NULL,
    CONSTRAINT counters_broad_quarters_pkey PRIMARY KEY (tenant, period, channel, purpose, language, owned)
) WITH (fillfactor=50);

CREATE TABLE counters_campaign_days (
    day date NOT NULL,
    sent integer NOT NULL DEFAULT 0,
    delivered integer NOT NULL DEFAULT 0,
    opened integer NOT NULL DEFAULT 0,
    clicked integer NOT NULL DEFAULT 0,
    replied integer NOT NULL DEFAULT 0,
    converted integer NOT NULL DEFAULT 0,
    opted_out integer NOT NULL DEFAULT 0,
    complained integer NOT NULL DEFAULT 0,
    bounced integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    unknown integer NOT NULL DEFAULT 0,
    suppressed integer NOT NULL DEFAULT 0,
    expired integer NOT NULL DEFAULT 0,
    opened_machine integer NOT NULL DEFAULT 0,
    clicked_machine integer NOT NULL DEFAULT 0,
    segments integer NOT NULL DEFAULT 0,
    people_sent integer NOT NULL DEFAULT 0,
    people_delivered integer NOT NULL DEFAULT 0,
    people_opened integer NOT NULL DEFAULT 0,
    people_clicked integer NOT NULL DEFAULT 0,
    people_replied integer NOT NULL DEFAULT 0,
    people_converted integer NOT NULL DEFAULT 0,
    people_opted_out integer NOT NULL DEFAULT 0,
    tenant text NOT NULL,
    campaign text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    variant text NOT NULL,
    CONSTRAINT counters_campaign_days_pkey PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language)
) WITH (fillfactor=50);
CREATE INDEX counters_campaign_days_by_day ON counters_campaign_days USING btree (tenant, day);

CREATE TABLE counters_campaign_months (
    day date NOT NULL,
    sent integer NOT NULL DEFAULT 0,
    delivered integer NOT NULL DEFAULT 0,
    opened integer NOT NULL DEFAULT 0,
    clicked integer NOT NULL DEFAULT 0,
    replied integer NOT NULL DEFAULT 0,
    converted integer NOT NULL DEFAULT 0,
    opted_out integer NOT NULL DEFAULT 0,
    complained integer NOT NULL DEFAULT 0,
    bounced integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    unknown integer NOT NULL DEFAULT 0,
    suppressed integer NOT NULL DEFAULT 0,
    expired integer NOT NULL DEFAULT 0,
    opened_machine integer NOT NULL DEFAULT 0,
    clicked_machine integer NOT NULL DEFAULT 0,
    segments integer NOT NULL DEFAULT 0,
    people_sent integer NOT NULL DEFAULT 0,
    people_delivered integer NOT NULL DEFAULT 0,
    people_opened integer NOT NULL DEFAULT 0,
    people_clicked integer NOT NULL DEFAULT 0,
    people_replied integer NOT NULL DEFAULT 0,
    people_converted integer NOT NULL DEFAULT 0,
    people_opted_out integer NOT NULL DEFAULT 0,
    tenant text NOT NULL,
    campaign text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    variant text NOT NULL,
    CONSTRAINT counters_campaign_months_pkey PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language)
) WITH (fillfactor=50);
CREATE INDEX counters_campaign_months_by_day ON counters_campaign_months USING btree (tenant, day);

CREATE TABLE counters_cell_days (
    day date NOT NULL,
    sent integer NOT NULL DEFAULT 0,
    delivered integer NOT NULL DEFAULT 0,
    opened integer NOT NULL DEFAULT 0,
    clicked integer NOT NULL DEFAULT 0,
    replied integer NOT NULL DEFAULT 0,
    converted integer NOT NULL DEFAULT 0,
    opted_out integer NOT NULL DEFAULT 0,
    complained integer NOT NULL DEFAULT 0,
    bounced integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    unknown integer NOT NULL DEFAULT 0,
    suppressed integer NOT NULL DEFAULT 0,
    expired integer NOT NULL DEFAULT 0,
    opened_machine integer NOT NULL DEFAULT 0,
    clicked_machine integer NOT NULL DEFAULT 0,
    segments integer NOT NULL DEFAULT 0,
    people_sent integer NOT NULL DEFAULT 0,
    people_delivered integer NOT NULL DEFAULT 0,
    people_opened integer NOT NULL DEFAULT 0,
    people_clicked integer NOT NULL DEFAULT 0,
    people_replied integer NOT NULL DEFAULT 0,
    people_converted integer NOT NULL DEFAULT 0,
    people_opted_out integer NOT NULL DEFAULT 0,
    tenant text NOT NULL,
    campaign text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    variant text NOT NULL,
    flow text NOT NULL,
    step text NOT NULL,
    CONSTRAINT counters_cell_days_pkey PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language, flow, step)
) WITH (fillfactor=50);
CREATE INDEX counters_cell_days_by_day ON counters_cell_days USING btree (tenant, day);

CREATE TABLE counters_cell_months (
    day date NOT NULL,
    sent integer NOT NULL DEFAULT 0,
    delivered integer NOT NULL DEFAULT 0,
    opened integer NOT NULL DEFAULT 0,
    clicked integer NOT NULL DEFAULT 0,
    replied integer NOT NULL DEFAULT 0,
    converted integer NOT NULL DEFAULT 0,
    opted_out integer NOT NULL DEFAULT 0,
    complained integer NOT NULL DEFAULT 0,
    bounced integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    unknown integer NOT NULL DEFAULT 0,
    suppressed integer NOT NULL DEFAULT 0,
    expired integer NOT NULL DEFAULT 0,
    opened_machine integer NOT NULL DEFAULT 0,
    clicked_machine integer NOT NULL DEFAULT 0,
    segments integer NOT NULL DEFAULT 0,
    people_sent integer NOT NULL DEFAULT 0,
    people_delivered integer NOT NULL DEFAULT 0,
    people_opened integer NOT NULL DEFAULT 0,
    people_clicked integer NOT NULL DEFAULT 0,
    people_replied integer NOT NULL DEFAULT 0,
    people_converted integer NOT NULL DEFAULT 0,
    people_opted_out integer NOT NULL DEFAULT 0,
    tenant text NOT NULL,
    campaign text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    variant text NOT NULL,
    flow text NOT NULL,
    step text NOT NULL,
    CONSTRAINT counters_cell_months_pkey PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language, flow, step)
) WITH (fillfactor=50);
CREATE INDEX counters_cell_months_by_day ON counters_cell_months USING btree (tenant, day);

CREATE TABLE counters_deltas (
    sign smallint NOT NULL,
    cell_id uuid NOT NULL,
    period timestamp with time zone NOT NULL,
    sent bigint NOT NULL,
    delivered bigint NOT NULL,
    opened bigint NOT NULL,
    clicked bigint NOT NULL,
    replied bigint NOT NULL,
    converted bigint NOT NULL,
    opted_out bigint NOT NULL,
    complained bigint NOT NULL,
    bounced bigint NOT NULL,
    failed bigint NOT NULL,
    unknown bigint NOT NULL,
    suppressed bigint NOT NULL,
    expired bigint NOT NULL,
    opened_machine bigint NOT NULL,
    clicked_machine bigint NOT NULL,
    segments bigint NOT NULL,
    people_sent bigint NOT NULL,
    people_delivered bigint NOT NULL,
    people_opened bigint NOT NULL,
    people_clicked bigint NOT NULL,
    people_replied bigint NOT NULL,
    people_converted bigint NOT NULL,
    people_opted_out bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=20000);

CREATE TABLE counters_step_days (
    day date NOT NULL,
    sent integer NOT NULL DEFAULT 0,
    delivered integer NOT NULL DEFAULT 0,
    opened integer NOT NULL DEFAULT 0,
    clicked integer NOT NULL DEFAULT 0,
    replied integer NOT NULL DEFAULT 0,
    converted integer NOT NULL DEFAULT 0,
    opted_out integer NOT NULL DEFAULT 0,
    complained integer NOT NULL DEFAULT 0,
    bounced integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    unknown integer NOT NULL DEFAULT 0,
    suppressed integer NOT NULL DEFAULT 0,
    expired integer NOT NULL DEFAULT 0,
    opened_machine integer NOT NULL DEFAULT 0,
    clicked_machine integer NOT NULL DEFAULT 0,
    segments integer NOT NULL DEFAULT 0,
    people_sent integer NOT NULL DEFAULT 0,
    people_delivered integer NOT NULL DEFAULT 0,
    people_opened integer NOT NULL DEFAULT 0,
    people_clicked integer NOT NULL DEFAULT 0,
    people_replied integer NOT NULL DEFAULT 0,
    people_converted integer NOT NULL DEFAULT 0,
    people_opted_out integer NOT NULL DEFAULT 0,
    tenant text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    variant text NOT NULL,
    flow text NOT NULL,
    step text NOT NULL,
    CONSTRAINT counters_step_days_pkey PRIMARY KEY (tenant, day, channel, purpose, language, variant, flow, step)
) WITH (fillfactor=50);

CREATE TABLE counters_step_months (
    day date NOT NULL,
    sent integer NOT NULL DEFAULT 0,
    delivered integer NOT NULL DEFAULT 0,
    opened integer NOT NULL DEFAULT 0,
    clicked integer NOT NULL DEFAULT 0,
    replied integer NOT NULL DEFAULT 0,
    converted integer NOT NULL DEFAULT 0,
    opted_out integer NOT NULL DEFAULT 0,
    complained integer NOT NULL DEFAULT 0,
    bounced integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    unknown integer NOT NULL DEFAULT 0,
    suppressed integer NOT NULL DEFAULT 0,
    expired integer NOT NULL DEFAULT 0,
    opened_machine integer NOT NULL DEFAULT 0,
    clicked_machine integer NOT NULL DEFAULT 0,
    segments integer NOT NULL DEFAULT 0,
    people_sent integer NOT NULL DEFAULT 0,
    people_delivered integer NOT NULL DEFAULT 0,
    people_opened integer NOT NULL DEFAULT 0,
    people_clicked integer NOT NULL DEFAULT 0,
    people_replied integer NOT NULL DEFAULT 0,
    people_converted integer NOT NULL DEFAULT 0,
    people_opted_out integer NOT NULL DEFAULT 0,
    tenant text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    variant text NOT NULL,
    flow text NOT NULL,
    step text NOT NULL,
    CONSTRAINT counters_step_months_pkey PRIMARY KEY (tenant, day, channel, purpose, language, variant, flow, step)
) WITH (fillfactor=50);

CREATE TABLE cursors (
    stage text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    pending bytea NOT NULL DEFAULT '\x'::bytea STORAGE EXTERNAL,
    moved_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT cursors_pkey PRIMARY KEY (stage, topic, partition)
) WITH (fillfactor=50);

CREATE TABLE designs (
    design_id uuid NOT NULL,
    experiment_id uuid NOT NULL,
    tenant text NOT NULL,
    campaign text NOT NULL,
    experiment text NOT NULL,
    weights jsonb NOT NULL,
    holdout text NOT NULL,
    CONSTRAINT designs_pkey PRIMARY KEY (design_id)
);
CREATE INDEX designs_of_campaign ON designs USING btree (tenant, campaign);

CREATE TABLE drawn (
    experiment_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    design_id uuid NOT NULL,
    variant text NOT NULL,
    at timestamp with time zone NOT NULL,
    opened integer NOT NULL,
    clicked integer NOT NULL,
    replied integer NOT NULL,
    orders integer NOT NULL,
    spent jsonb NOT NULL,
    period timestamp with time zone GENERATED ALWAYS AS (date_bin('01:00:00'::interval, at, '2000-01-01 00:00:00+00'::timestamp with time zone)) VIRTUAL,
    converted integer GENERATED ALWAYS AS (((orders > 0))::integer) VIRTUAL,
    CONSTRAINT drawn_pkey PRIMARY KEY (experiment_id, contact_id)
) WITH (fillfactor=80);
CREATE INDEX drawn_of_contact ON drawn USING btree (contact_id);

CREATE TABLE erased (
    hashed bytea NOT NULL,
    other uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT erased_pkey PRIMARY KEY (hashed)
);

CREATE TABLE forecasts (
    tenant text NOT NULL,
    round timestamp with time zone NOT NULL,
    model jsonb NOT NULL,
    CONSTRAINT forecasts_pkey PRIMARY KEY (tenant)
);

CREATE TABLE habits (
    tenant text NOT NULL,
    channel text NOT NULL,
    hours double precision[] NOT NULL,
    coming double precision[] NOT NULL,
    CONSTRAINT habits_pkey PRIMARY KEY (tenant, channel)
);

CREATE TABLE hits (
    contact_id uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    hit uuid NOT NULL,
    message_id uuid NOT NULL,
    kind text NOT NULL,
    person boolean NOT NULL,
    rules integer NOT NULL,
    revision integer NOT NULL,
    CONSTRAINT hits_pkey PRIMARY KEY (contact_id, at, hit)
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
    held_at timestamp with time zone,
    complained_at timestamp with time zone,
    unsubscribed_at timestamp with time zone,
    bounced_at timestamp with time zone,
    failed_reason text,
    unknown_reason text,
    suppressed_reason text,
    expired_reason text,
    held_reason text,
    segments integer NOT NULL DEFAULT 0,
    priced_at timestamp with time zone,
    price numeric,
    currency text,
    replies integer NOT NULL DEFAULT 0,
    opt_outs integer NOT NULL DEFAULT 0,
    left_at timestamp with time zone GENERATED ALWAYS AS (LEAST(sent_at, delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at)) STORED,
    arrived_at timestamp with time zone GENERATED ALWAYS AS (LEAST(delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at)) VIRTUAL,
    period timestamp with time zone GENERATED ALWAYS AS (
CASE
    WHEN (cell_id IS NOT NULL) THEN date_bin('00:15:00'::interval, COALESCE(LEAST(sent_at, delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at), LEAST(failed_at, unknown_at, suppressed_at, expired_at), held_at), '2000-01-01 00:00:00+00'::timestamp with time zone)
    ELSE NULL::timestamp with time zone
END) VIRTUAL,
    dead boolean GENERATED ALWAYS AS (((failed_at IS NOT NULL) AND (COALESCE(delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at) IS NULL))) VIRTUAL,
    sent integer GENERATED ALWAYS AS (((COALESCE(sent_at, delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at) IS NOT NULL))::integer) VIRTUAL,
    delivered integer GENERATED ALWAYS AS ((((COALESCE(delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at) IS NOT NULL) OR ((sent_at IS NOT NULL) AND (failed_at IS NULL) AND ((replies + opt_outs) > 0))))::integer) VIRTUAL,
    opened integer GENERATED ALWAYS AS (((COALESCE(opened_at, read_at) IS NOT NULL))::integer) VIRTUAL,
    clicked integer GENERATED ALWAYS AS (((clicked_at IS NOT NULL))::integer) VIRTUAL,
    replied integer GENERATED ALWAYS AS ((((replies > 0) AND ((COALESCE(delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at) IS NOT NULL) OR ((sent_at IS NOT NULL) AND (failed_at IS NULL)))))::integer) VIRTUAL,
    converted integer GENERATED ALWAYS AS ((((orders > 0) AND (COALESCE(delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at) IS NOT NULL)))::integer) VIRTUAL,
    opted_out integer GENERATED ALWAYS AS ((((COALESCE(unsubscribed_at, complained_at) IS NOT NULL) OR ((opt_outs > 0) AND ((COALESCE(delivered_at, read_at, opened_at, clicked_at) IS NOT NULL) OR ((sent_at IS NOT NULL) AND (failed_at IS NULL))))))::integer) VIRTUAL,
    complained integer GENERATED ALWAYS AS (((complained_at IS NOT NULL))::integer) VIRTUAL,
    opened_machine integer GENERATED ALWAYS AS ((((opened_machine_at IS NOT NULL) AND (COALESCE(sent_at, delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at) IS NOT NULL)))::integer) VIRTUAL,
    clicked_machine integer GENERATED ALWAYS AS ((((clicked_machine_at IS NOT NULL) AND (COALESCE(sent_at, delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at) IS NOT NULL)))::integer) VIRTUAL,
    units integer GENERATED ALWAYS AS (
CASE
    WHEN (COALESCE(sent_at, delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at) IS NOT NULL) THEN segments
    ELSE 0
END) VIRTUAL,
    failed integer GENERATED ALWAYS AS ((((failed_at IS NOT NULL) AND (COALESCE(delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at) IS NULL)))::integer) VIRTUAL,
    bounced integer GENERATED ALWAYS AS ((((bounced_at IS NOT NULL) AND (sent_at IS NOT NULL) AND (COALESCE(delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at) IS NULL)))::integer) VIRTUAL,
    unknown integer GENERATED ALWAYS AS ((((unknown_at IS NOT NULL) AND (COALESCE(sent_at, delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at, failed_at) IS NULL)))::integer) VIRTUAL,
    suppressed integer GENERATED ALWAYS AS ((((suppressed_at IS NOT NULL) AND (COALESCE(sent_at, delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at, failed_at, unknown_at) IS NULL)))::integer) VIRTUAL,
    expired integer GENERATED ALWAYS AS ((((expired_at IS NOT NULL) AND (COALESCE(sent_at, delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at, failed_at, unknown_at, suppressed_at) IS NULL)))::integer) VIRTUAL,
    ended text GENERATED ALWAYS AS (
CASE
    WHEN (COALESCE(delivered_at, read_at, opened_at, clicked_at, complained_at, unsubscribed_at) IS NOT NULL) THEN NULL::text
    WHEN (failed_at IS NOT NULL) THEN 'failed'::text
    WHEN (sent_at IS NOT NULL) THEN NULL::text
    WHEN (unknown_at IS NOT NULL) THEN 'unknown'::text
    WHEN (suppressed_at IS NOT NULL) THEN 'suppressed'::text
    WHEN (expired_at IS NOT NULL) THEN 'expired'::text
    WHEN (held_at IS NOT NULL) THEN 'held'::text
    ELSE NULL::text
END) VIRTUAL,
    why text GENERATED ALWAYS AS (
CASE
    WHEN (failed_at IS NOT NULL) THEN failed_reason
    WHEN (unknown_at IS NOT NULL) THEN unknown_reason
    WHEN (suppressed_at IS NOT NULL) THEN suppressed_reason
    WHEN (expired_at IS NOT NULL) THEN expired_reason
    ELSE held_reason
END) VIRTUAL,
    CONSTRAINT messages_pkey PRIMARY KEY (message_id)
) WITH (fillfactor=60);
CREATE INDEX messages_of_contact ON messages USING btree (contact_id, left_at);

CREATE TABLE migrations (
    name text NOT NULL,
    applied_at timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT migrations_pkey PRIMARY KEY (name)
);

CREATE TABLE money (
    cell_id uuid NOT NULL,
    period timestamp with time zone NOT NULL,
    currency text NOT NULL,
    orders bigint NOT NULL DEFAULT 0,
    revenue numeric NOT NULL DEFAULT 0,
    cost numeric NOT NULL DEFAULT 0,
    CONSTRAINT money_pkey PRIMARY KEY (cell_id, period, currency)
) WITH (fillfactor=60);
CREATE INDEX money_by_period ON money USING btree (period);

CREATE TABLE money_broad_days (
    day date NOT NULL,
    currency text NOT NULL,
    orders integer NOT NULL DEFAULT 0,
    revenue numeric NOT NULL,
    cost numeric NOT NULL,
    tenant text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    owned boolean NOT NULL,
    CONSTRAINT money_broad_days_pkey PRIMARY KEY (tenant, day, channel, purpose, language, owned, currency)
) WITH (fillfactor=50);

CREATE TABLE money_broad_months (
    day date NOT NULL,
    currency text NOT NULL,
    orders integer NOT NULL DEFAULT 0,
    revenue numeric NOT NULL,
    cost numeric NOT NULL,
    tenant text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    owned boolean NOT NULL,
    CONSTRAINT money_broad_months_pkey PRIMARY KEY (tenant, day, channel, purpose, language, owned, currency)
) WITH (fillfactor=50);

CREATE TABLE money_broad_quarters (
    period timestamp with time zone NOT NULL,
    currency text NOT NULL,
    orders integer NOT NULL DEFAULT 0,
    revenue numeric NOT NULL,
    cost numeric NOT NULL,
    tenant text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    owned boolean NOT NULL,
    CONSTRAINT money_broad_quarters_pkey PRIMARY KEY (tenant, period, channel, purpose, language, owned, currency)
) WITH (fillfactor=50);

CREATE TABLE money_campaign_days (
    day date NOT NULL,
    currency text NOT NULL,
    orders integer NOT NULL DEFAULT 0,
    revenue numeric NOT NULL,
    cost numeric NOT NULL,
    tenant text NOT NULL,
    campaign text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    variant text NOT NULL,
    CONSTRAINT money_campaign_days_pkey PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language, currency)
) WITH (fillfactor=50);
CREATE INDEX money_campaign_days_by_day ON money_campaign_days USING btree (tenant, day);

CREATE TABLE money_campaign_months (
    day date NOT NULL,
    currency text NOT NULL,
    orders integer NOT NULL DEFAULT 0,
    revenue numeric NOT NULL,
    cost numeric NOT NULL,
    tenant text NOT NULL,
    campaign text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    variant text NOT NULL,
    CONSTRAINT money_campaign_months_pkey PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language, currency)
) WITH (fillfactor=50);
CREATE INDEX money_campaign_months_by_day ON money_campaign_months USING btree (tenant, day);

CREATE TABLE money_cell_days (
    day date NOT NULL,
    currency text NOT NULL,
    orders integer NOT NULL DEFAULT 0,
    revenue numeric NOT NULL,
    cost numeric NOT NULL,
    tenant text NOT NULL,
    campaign text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    variant text NOT NULL,
    flow text NOT NULL,
    step text NOT NULL,
    CONSTRAINT money_cell_days_pkey PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language, flow, step, currency)
) WITH (fillfactor=50);
CREATE INDEX money_cell_days_by_day ON money_cell_days USING btree (tenant, day);

CREATE TABLE money_cell_months (
    day date NOT NULL,
    currency text NOT NULL,
    orders integer NOT NULL DEFAULT 0,
    revenue numeric NOT NULL,
    cost numeric NOT NULL,
    tenant text NOT NULL,
    campaign text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    variant text NOT NULL,
    flow text NOT NULL,
    step text NOT NULL,
    CONSTRAINT money_cell_months_pkey PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language, flow, step, currency)
) WITH (fillfactor=50);
CREATE INDEX money_cell_months_by_day ON money_cell_months USING btree (tenant, day);

CREATE TABLE money_deltas (
    sign smallint NOT NULL,
    cell_id uuid NOT NULL,
    period timestamp with time zone NOT NULL,
    currency text NOT NULL,
    orders bigint NOT NULL,
    revenue numeric NOT NULL,
    cost numeric NOT NULL
) WITH (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=20000);

CREATE TABLE money_step_days (
    day date NOT NULL,
    currency text NOT NULL,
    orders integer NOT NULL DEFAULT 0,
    revenue numeric NOT NULL,
    cost numeric NOT NULL,
    tenant text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    variant text NOT NULL,
    flow text NOT NULL,
    step text NOT NULL,
    CONSTRAINT money_step_days_pkey PRIMARY KEY (tenant, day, channel, purpose, language, variant, flow, step, currency)
) WITH (fillfactor=50);

CREATE TABLE money_step_months (
    day date NOT NULL,
    currency text NOT NULL,
    orders integer NOT NULL DEFAULT 0,
    revenue numeric NOT NULL,
    cost numeric NOT NULL,
    tenant text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    variant text NOT NULL,
    flow text NOT NULL,
    step text NOT NULL,
    CONSTRAINT money_step_months_pkey PRIMARY KEY (tenant, day, channel, purpose, language, variant, flow, step, currency)
) WITH (fillfactor=50);

CREATE TABLE opt_outs (
    contact_id uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    channel text NOT NULL,
    told uuid,
    message_id uuid,
    CONSTRAINT opt_outs_pkey PRIMARY KEY (contact_id, at, channel)
) WITH (fillfactor=90);

CREATE TABLE orders (
    tenant text NOT NULL,
    order_id text NOT NULL,
    contact_id uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    value numeric NOT NULL,
    currency text NOT NULL,
    message_id uuid,
    erased boolean NOT NULL DEFAULT false,
    goal text NOT NULL,
    cell_id uuid,
    period timestamp with time zone,
    CONSTRAINT orders_pkey PRIMARY KEY (tenant, goal, order_id)
) WITH (fillfactor=80);
CREATE INDEX orders_by_buyer ON orders USING btree (tenant, goal, contact_id);
CREATE INDEX orders_by_contact ON orders USING btree (contact_id, at);

CREATE TABLE people (
    cell_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    first_sent_at timestamp with time zone,
    delivered integer NOT NULL,
    opened integer NOT NULL,
    clicked integer NOT NULL,
    replied integer NOT NULL,
    converted integer NOT NULL,
    opted_out integer NOT NULL,
    period timestamp with time zone GENERATED ALWAYS AS (date_bin('00:15:00'::interval, first_sent_at, '2000-01-01 00:00:00+00'::timestamp with time zone)) VIRTUAL,
    CONSTRAINT people_pkey PRIMARY KEY (cell_id, contact_id)
) WITH (fillfactor=60);

CREATE TABLE reasons (
    cell_id uuid NOT NULL,
    period timestamp with time zone NOT NULL,
    status text NOT NULL,
    reason text NOT NULL,
    messages bigint NOT NULL DEFAULT 0,
    CONSTRAINT reasons_pkey PRIMARY KEY (cell_id, period, status, reason)
) WITH (fillfactor=60);
CREATE INDEX reasons_by_period ON reasons USING btree (period);

CREATE TABLE reasons_broad_days (
    day date NOT NULL,
    status text NOT NULL,
    reason text NOT NULL,
    messages integer NOT NULL DEFAULT 0,
    tenant text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    owned boolean NOT NULL,
    CONSTRAINT reasons_broad_days_pkey PRIMARY KEY (tenant, day, channel, purpose, language, owned, status, reason)
) WITH (fillfactor=50);

CREATE TABLE reasons_broad_months (
    day date NOT NULL,
    status text NOT NULL,
    reason text NOT NULL,
    messages integer NOT NULL DEFAULT 0,
    tenant text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    owned boolean NOT NULL,
    CONSTRAINT reasons_broad_months_pkey PRIMARY KEY (tenant, day, channel, purpose, language, owned, status, reason)
) WITH (fillfactor=50);

CREATE TABLE reasons_broad_quarters (
    period timestamp with time zone NOT NULL,
    status text NOT NULL,
    reason text NOT NULL,
    messages integer NOT NULL DEFAULT 0,
    tenant text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    owned boolean NOT NULL,
    CONSTRAINT reasons_broad_quarters_pkey PRIMARY KEY (tenant, period, channel, purpose, language, owned, status, reason)
) WITH (fillfactor=50);

CREATE TABLE reasons_campaign_days (
    day date NOT NULL,
    status text NOT NULL,
    reason text NOT NULL,
    messages integer NOT NULL DEFAULT 0,
    tenant text NOT NULL,
    campaign text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    variant text NOT NULL,
    CONSTRAINT reasons_campaign_days_pkey PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language, status, reason)
) WITH (fillfactor=50);
CREATE INDEX reasons_campaign_days_by_day ON reasons_campaign_days USING btree (tenant, day);

CREATE TABLE reasons_campaign_months (
    day date NOT NULL,
    status text NOT NULL,
    reason text NOT NULL,
    messages integer NOT NULL DEFAULT 0,
    tenant text NOT NULL,
    campaign text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    variant text NOT NULL,
    CONSTRAINT reasons_campaign_months_pkey PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language, status, reason)
) WITH (fillfactor=50);
CREATE INDEX reasons_campaign_months_by_day ON reasons_campaign_months USING btree (tenant, day);

CREATE TABLE reasons_cell_days (
    day date NOT NULL,
    status text NOT NULL,
    reason text NOT NULL,
    messages integer NOT NULL DEFAULT 0,
    tenant text NOT NULL,
    campaign text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    variant text NOT NULL,
    flow text NOT NULL,
    step text NOT NULL,
    CONSTRAINT reasons_cell_days_pkey PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language, flow, step, status, reason)
) WITH (fillfactor=50);
CREATE INDEX reasons_cell_days_by_day ON reasons_cell_days USING btree (tenant, day);

CREATE TABLE reasons_cell_months (
    day date NOT NULL,
    status text NOT NULL,
    reason text NOT NULL,
    messages integer NOT NULL DEFAULT 0,
    tenant text NOT NULL,
    campaign text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    variant text NOT NULL,
    flow text NOT NULL,
    step text NOT NULL,
    CONSTRAINT reasons_cell_months_pkey PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language, flow, step, status, reason)
) WITH (fillfactor=50);
CREATE INDEX reasons_cell_months_by_day ON reasons_cell_months USING btree (tenant, day);

CREATE TABLE reasons_deltas (
    sign smallint NOT NULL,
    cell_id uuid NOT NULL,
    period timestamp with time zone NOT NULL,
    status text NOT NULL,
    reason text NOT NULL,
    messages bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=20000);

CREATE TABLE reasons_step_days (
    day date NOT NULL,
    status text NOT NULL,
    reason text NOT NULL,
    messages integer NOT NULL DEFAULT 0,
    tenant text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    variant text NOT NULL,
    flow text NOT NULL,
    step text NOT NULL,
    CONSTRAINT reasons_step_days_pkey PRIMARY KEY (tenant, day, channel, purpose, language, variant, flow, step, status, reason)
) WITH (fillfactor=50);

CREATE TABLE reasons_step_months (
    day date NOT NULL,
    status text NOT NULL,
    reason text NOT NULL,
    messages integer NOT NULL DEFAULT 0,
    tenant text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    variant text NOT NULL,
    flow text NOT NULL,
    step text NOT NULL,
    CONSTRAINT reasons_step_months_pkey PRIMARY KEY (tenant, day, channel, purpose, language, variant, flow, step, status, reason)
) WITH (fillfactor=50);

CREATE TABLE replies (
    contact_id uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    reply_id uuid NOT NULL,
    channel text NOT NULL,
    message_id uuid,
    CONSTRAINT replies_pkey PRIMARY KEY (contact_id, at, reply_id)
) WITH (fillfactor=90);

CREATE TABLE retention (
    tenant text NOT NULL,
    until timestamp with time zone NOT NULL,
    CONSTRAINT retention_pkey PRIMARY KEY (tenant)
);

CREATE TABLE rolled (
    message_id uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT rolled_pkey PRIMARY KEY (message_id)
);
CREATE INDEX rolled_by_age ON rolled USING btree (at);

CREATE TABLE rolled_zones (
    tenant text NOT NULL,
    zone text NOT NULL,
    CONSTRAINT rolled_zones_pkey PRIMARY KEY (tenant)
);

CREATE TABLE scores (
    contact_id uuid NOT NULL,
    tenant text NOT NULL,
    fan integer NOT NULL,
    silent integer NOT NULL,
    best_hour integer,
    best_hour_of text,
    order_again double precision,
    next_order_days double precision,
    lifetime_value numeric,
    currency text,
    told_at timestamp with time zone NOT NULL,
    CONSTRAINT scores_pkey PRIMARY KEY (contact_id)
) WITH (fillfactor=80);

CREATE TABLE scoring (
    one boolean NOT NULL DEFAULT true,
    round timestamp with time zone NOT NULL,
    position uuid NOT NULL,
    ended boolean NOT NULL,
    CONSTRAINT scoring_one_check CHECK (one),
    CONSTRAINT scoring_pkey PRIMARY KEY (one)
);

CREATE TABLE spenders (
    cell_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    currency text NOT NULL,
    orders integer NOT NULL,
    total numeric NOT NULL,
    CONSTRAINT spenders_pkey PRIMARY KEY (cell_id, contact_id, currency)
) WITH (fillfactor=80);

CREATE TABLE spending (
    design_id uuid NOT NULL,
    variant text NOT NULL,
    currency text NOT NULL,
    people bigint NOT NULL,
    total numeric NOT NULL,
    squares numeric NOT NULL,
    CONSTRAINT spending_pkey PRIMARY KEY (design_id, variant, currency)
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
CREATE INDEX talk_counts_opened ON talk_counts USING btree (tenant, dimension, grain, period) WHERE (what = 'opened'::text);

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
    rated_at timestamp with time zone,
    channel told,
    flow told,
    team told,
    agent told,
    score told,
    CONSTRAINT talks_pkey PRIMARY KEY (conversation_id)
) WITH (fillfactor=80);

CREATE TABLE unowed (
    tenant text NOT NULL,
    goal text NOT NULL,
    period timestamp with time zone NOT NULL,
    currency text NOT NULL,
    happened bigint NOT NULL DEFAULT 0,
    value numeric NOT NULL DEFAULT 0,
    CONSTRAINT unowed_pkey PRIMARY KEY (tenant, goal, period, currency)
) WITH (fillfactor=60);

CREATE TABLE worth (
    cell_id uuid NOT NULL,
    currency text NOT NULL,
    people bigint NOT NULL DEFAULT 0,
    total numeric NOT NULL DEFAULT 0,
    squares numeric NOT NULL DEFAULT 0,
    CONSTRAINT worth_pkey PRIMARY KEY (cell_id, currency)
) WITH (fillfactor=60);

-- Beside the tables:
-- FUNCTION person_after(uuid)
-- FUNCTION rolled_after()
-- FUNCTION rolled_anew()
-- FUNCTION rolled_before()
-- FUNCTION rolled_both()
-- FUNCTION talk_marks(talks)
-- FUNCTION talk_step(interval)
-- TRIGGER rolled_delete ON counters
-- TRIGGER rolled_delete ON money
-- TRIGGER rolled_delete ON reasons
-- TRIGGER rolled_insert ON counters
-- TRIGGER rolled_insert ON money
-- TRIGGER rolled_insert ON reasons
-- TRIGGER rolled_truncate ON counters
-- TRIGGER rolled_truncate ON money
-- TRIGGER rolled_truncate ON reasons
-- TRIGGER rolled_update ON counters
-- TRIGGER rolled_update ON money
-- TRIGGER rolled_update ON reasons
