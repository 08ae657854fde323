-- The sums again, with the dimensions in their own rows: who reads them need not look up forty thousand cells first. And more of them, so that what is asked is
-- found in few rows: by all dimensions (`cell`), by all but flow and step (`campaign`), by all but the campaign (`step`); and the broad ones by quarter of an
-- hour and by month, too, so that what is asked of a tenant as a whole never reads cells. `rolling.py` makes them all anew: as long as a tenant has no row in
-- `rolled_zones`, reports read the counters.
DELETE FROM rolled_zones;
DROP TABLE broads, counters_days, counters_months, counters_broad, money_days, money_months, money_broad, reasons_days, reasons_months, reasons_broad;

-- What is summed, and by what; of a broad one it is told whether it is of campaigns. An integer holds what happens in a month, and PostgreSQL adds those up
-- three times as fast as bigints. Where a campaign is a part of the key it comes before the day: a page is of some campaigns, and reads no others.
CREATE TABLE of_counters (
    sent             integer NOT NULL DEFAULT 0,
    delivered        integer NOT NULL DEFAULT 0,
    opened           integer NOT NULL DEFAULT 0,
    clicked          integer NOT NULL DEFAULT 0,
    replied          integer NOT NULL DEFAULT 0,
    converted        integer NOT NULL DEFAULT 0,
    opted_out        integer NOT NULL DEFAULT 0,
    complained       integer NOT NULL DEFAULT 0,
    bounced          integer NOT NULL DEFAULT 0,
    failed           integer NOT NULL DEFAULT 0,
    unknown          integer NOT NULL DEFAULT 0,
    suppressed       integer NOT NULL DEFAULT 0,
    expired          integer NOT NULL DEFAULT 0,
    opened_machine   integer NOT NULL DEFAULT 0,
    clicked_machine  integer NOT NULL DEFAULT 0,
    segments         integer NOT NULL DEFAULT 0,
    people_sent      integer NOT NULL DEFAULT 0,
    people_delivered integer NOT NULL DEFAULT 0,
    people_opened    integer NOT NULL DEFAULT 0,
    people_clicked   integer NOT NULL DEFAULT 0,
    people_replied   integer NOT NULL DEFAULT 0,
    people_converted integer NOT NULL DEFAULT 0,
    people_opted_out integer NOT NULL DEFAULT 0
);
CREATE TABLE of_money (currency text NOT NULL, orders integer NOT NULL DEFAULT 0, revenue numeric NOT NULL, cost numeric NOT NULL);
CREATE TABLE of_reasons (status text NOT NULL, reason text NOT NULL, messages integer NOT NULL DEFAULT 0);
CREATE TABLE by_broad (tenant text NOT NULL, channel text NOT NULL, purpose text NOT NULL, language text NOT NULL, owned boolean NOT NULL);
CREATE TABLE by_step (tenant text NOT NULL, channel text NOT NULL, purpose text NOT NULL, language text NOT NULL, variant text NOT NULL, flow text NOT NULL,
    step text NOT NULL);
CREATE TABLE by_campaign (tenant text NOT NULL, campaign text NOT NULL, channel text NOT NULL, purpose text NOT NULL, language text NOT NULL,
    variant text NOT NULL);
CREATE TABLE by_cell (LIKE by_campaign, flow text NOT NULL, step text NOT NULL);

CREATE TABLE counters_cell_days (day date NOT NULL, LIKE of_counters INCLUDING DEFAULTS, LIKE by_cell,
    PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language, flow, step)) WITH (fillfactor = 50);
CREATE INDEX counters_cell_days_by_day ON counters_cell_days (tenant, day);
CREATE TABLE counters_cell_months (day date NOT NULL, LIKE of_counters INCLUDING DEFAULTS, LIKE by_cell,
    PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language, flow, step)) WITH (fillfactor = 50);
CREATE INDEX counters_cell_months_by_day ON counters_cell_months (tenant, day);
CREATE TABLE counters_campaign_days (day date NOT NULL, LIKE of_counters INCLUDING DEFAULTS, LIKE by_campaign,
    PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language)) WITH (fillfactor = 50);
CREATE INDEX counters_campaign_days_by_day ON counters_campaign_days (tenant, day);
CREATE TABLE counters_campaign_months (day date NOT NULL, LIKE of_counters INCLUDING DEFAULTS, LIKE by_campaign,
    PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language)) WITH (fillfactor = 50);
CREATE INDEX counters_campaign_months_by_day ON counters_campaign_months (tenant, day);
CREATE TABLE counters_step_days (day date NOT NULL, LIKE of_counters INCLUDING DEFAULTS, LIKE by_step,
    PRIMARY KEY (tenant, day, channel, purpose, language, variant, flow, step)) WITH (fillfactor = 50);
CREATE TABLE counters_step_months (day date NOT NULL, LIKE of_counters INCLUDING DEFAULTS, LIKE by_step,
    PRIMARY KEY (tenant, day, channel, purpose, language, variant, flow, step)) WITH (fillfactor = 50);
CREATE TABLE counters_broad_quarters (period timestamptz NOT NULL, LIKE of_counters INCLUDING DEFAULTS, LIKE by_broad,
    PRIMARY KEY (tenant, period, channel, purpose, language, owned)) WITH (fillfactor = 50);
CREATE TABLE counters_broad_days (day date NOT NULL, LIKE of_counters INCLUDING DEFAULTS, LIKE by_broad,
    PRIMARY KEY (tenant, day, channel, purpose, language, owned)) WITH (fillfactor = 50);
CREATE TABLE counters_broad_months (day date NOT NULL, LIKE of_counters INCLUDING DEFAULTS, LIKE by_broad,
    PRIMARY KEY (tenant, day, channel, purpose, language, owned)) WITH (fillfactor = 50);

CREATE TABLE money_cell_days (day date NOT NULL, LIKE of_money INCLUDING DEFAULTS, LIKE by_cell,
    PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language, flow, step, currency)) WITH (fillfactor = 50);
CREATE INDEX money_cell_days_by_day ON money_cell_days (tenant, day);
CREATE TABLE money_cell_months (day date NOT NULL, LIKE of_money INCLUDING DEFAULTS, LIKE by_cell,
    PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language, flow, step, currency)) WITH (fillfactor = 50);
CREATE INDEX money_cell_months_by_day ON money_cell_months (tenant, day);
CREATE TABLE money_campaign_days (day date NOT NULL, LIKE of_money INCLUDING DEFAULTS, LIKE by_campaign,
    PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language, currency)) WITH (fillfactor = 50);
CREATE INDEX money_campaign_days_by_day ON money_campaign_days (tenant, day);
CREATE TABLE money_campaign_months (day date NOT NULL, LIKE of_money INCLUDING DEFAULTS, LIKE by_campaign,
    PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language, currency)) WITH (fillfactor = 50);
CREATE INDEX money_campaign_months_by_day ON money_campaign_months (tenant, day);
CREATE TABLE money_step_days (day date NOT NULL, LIKE of_money INCLUDING DEFAULTS, LIKE by_step,
    PRIMARY KEY (tenant, day, channel, purpose, language, variant, flow, step, currency)) WITH (fillfactor = 50);
CREATE TABLE money_step_months (day date NOT NULL, LIKE of_money INCLUDING DEFAULTS, LIKE by_step,
    PRIMARY KEY (tenant, day, channel, purpose, language, variant, flow, step, currency)) WITH (fillfactor = 50);
CREATE TABLE money_broad_quarters (period timestamptz NOT NULL, LIKE of_money INCLUDING DEFAULTS, LIKE by_broad,
    PRIMARY KEY (tenant, period, channel, purpose, language, owned, currency)) WITH (fillfactor = 50);
CREATE TABLE money_broad_days (day date NOT NULL, LIKE of_money INCLUDING DEFAULTS, LIKE by_broad,
    PRIMARY KEY (tenant, day, channel, purpose, language, owned, currency)) WITH (fillfactor = 50);
CREATE TABLE money_broad_months (day date NOT NULL, LIKE of_money INCLUDING DEFAULTS, LIKE by_broad,
    PRIMARY KEY (tenant, day, channel, purpose, language, owned, currency)) WITH (fillfactor = 50);

CREATE TABLE reasons_cell_days (day date NOT NULL, LIKE of_reasons INCLUDING DEFAULTS, LIKE by_cell,
    PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language, flow, step, status, reason)) WITH (fillfactor = 50);
CREATE INDEX reasons_cell_days_by_day ON reasons_cell_days (tenant, day);
CREATE TABLE reasons_cell_months (day date NOT NULL, LIKE of_reasons INCLUDING DEFAULTS, LIKE by_cell,
    PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language, flow, step, status, reason)) WITH (fillfactor = 50);
CREATE INDEX reasons_cell_months_by_day ON reasons_cell_months (tenant, day);
CREATE TABLE reasons_campaign_days (day date NOT NULL, LIKE of_reasons INCLUDING DEFAULTS, LIKE by_campaign,
    PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language, status, reason)) WITH (fillfactor = 50);
CREATE INDEX reasons_campaign_days_by_day ON reasons_campaign_days (tenant, day);
CREATE TABLE reasons_campaign_months (day date NOT NULL, LIKE of_reasons INCLUDING DEFAULTS, LIKE by_campaign,
    PRIMARY KEY (tenant, campaign, day, channel, variant, purpose, language, status, reason)) WITH (fillfactor = 50);
CREATE INDEX reasons_campaign_months_by_day ON reasons_campaign_months (tenant, day);
CREATE TABLE reasons_step_days (day date NOT NULL, LIKE of_reasons INCLUDING DEFAULTS, LIKE by_step,
    PRIMARY KEY (tenant, day, channel, purpose, language, variant, flow, step, status, reason)) WITH (fillfactor = 50);
CREATE TABLE reasons_step_months (day date NOT NULL, LIKE of_reasons INCLUDING DEFAULTS, LIKE by_step,
    PRIMARY KEY (tenant, day, channel, purpose, language, variant, flow, step, status, reason)) WITH (fillfactor = 50);
CREATE TABLE reasons_broad_quarters (period timestamptz NOT NULL, LIKE of_reasons INCLUDING DEFAULTS, LIKE by_broad,
    PRIMARY KEY (tenant, period, channel, purpose, language, owned, status, reason)) WITH (fillfactor = 50);
CREATE TABLE reasons_broad_days (day date NOT NULL, LIKE of_reasons INCLUDING DEFAULTS, LIKE by_broad,
    PRIMARY KEY (tenant, day, channel, purpose, language, owned, status, reason)) WITH (fillfactor = 50);
CREATE TABLE reasons_broad_months (day date NOT NULL, LIKE of_reasons INCLUDING DEFAULTS, LIKE by_broad,
    PRIMARY KEY (tenant, day, channel, purpose, language, owned, status, reason)) WITH (fillfactor = 50);

DROP TABLE of_counters, of_money, of_reasons, by_broad, by_step, by_campaign, by_cell;

-- A table that is emptied at once has told nobody row by row: its sums go, and all are made anew.
CREATE OR REPLACE FUNCTION rolled_anew() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    level text;
BEGIN
    FOREACH level IN ARRAY ARRAY['deltas', 'cell_days', 'cell_months', 'campaign_days', 'campaign_months', 'step_days', 'step_months', 'broad_quarters',
        'broad_days', 'broad_months'] LOOP
        EXECUTE format('DELETE FROM %I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME || '_' || level);
    END LOOP;
    EXECUTE format('DELETE FROM %I.rolled_zones', TG_TABLE_SCHEMA);
    RETURN NULL;
END $$;

-- Which values of a dimension have the most conversations is asked before they are told bucket by bucket: one row in a dozen says it.
CREATE INDEX talk_counts_opened ON talk_counts (tenant, dimension, grain, period) WHERE what = 'opened';
