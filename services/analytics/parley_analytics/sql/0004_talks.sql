-- Conversations: the first time of each step, and counters made from them. What a conversation counts for stands here once, in `talk_marks`.

-- What was said of a conversation, and when: of several the least or the greatest is kept, ties by what is said, so the order of events does not matter.
CREATE TYPE told AS (at timestamptz, said text COLLATE "C");

-- One row a conversation. It names nobody but the agent: who the customer was is not known here, so whoever is erased leaves nothing behind.
CREATE TABLE talks (
    conversation_id uuid PRIMARY KEY,
    tenant       text NOT NULL,
    opened_at    timestamptz,
    answered_at  timestamptz,                         -- by the bot
    escalated_at timestamptz,
    assigned_at  timestamptz,
    replied_at   timestamptz,                         -- by a person
    resolved_at  timestamptz,                         -- by a person
    closed_at    timestamptz,                         -- without a solution: the contact is gone
    overdue_at   timestamptz,
    rated_at     timestamptz,
    channel      told,                                -- as told first
    flow         told,
    team         told,                                -- as told last
    agent        told,
    score        told                                  -- of the last rating
) WITH (fillfactor = 80);

-- Durations on a scale of their logarithm, 12 steps while they grow tenfold, from 10 ms on: what lies in one step differs by a
-- fifth at most. 0: shorter.
CREATE FUNCTION talk_step(lasted interval) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN lasted >= interval '10 ms' THEN LEAST(120, 1 + floor(12 * (log(extract(epoch FROM lasted)::double precision) + 2)))::integer
        WHEN lasted IS NOT NULL THEN 0 END
$$;

-- What a conversation counts for: names, each with a place where it has one (a step of `talk_step`, the score of a rating). It counts in the time in which
-- it began, whenever the rest happened. Whatever was told of it proves that it began, and whatever a person did that a person was asked.
CREATE FUNCTION talk_marks(t talks) RETURNS TABLE (began timestamptz, what text, place integer) LANGUAGE sql IMMUTABLE AS $$
    SELECT began, mark.what, mark.place
    FROM (SELECT
        LEAST(t.opened_at, t.answered_at, t.escalated_at, t.assigned_at, t.replied_at, t.resolved_at, t.closed_at, t.overdue_at, t.rated_at) AS began,
        LEAST(t.answered_at, t.replied_at) AS spoken,
        LEAST(t.escalated_at, t.assigned_at, t.overdue_at, t.replied_at, t.resolved_at) AS asked,
        t.answered_at AS answered, t.replied_at AS replied, t.resolved_at AS resolved, t.closed_at AS closed, t.overdue_at AS overdue,
        (t.score).said::integer AS score
        OFFSET 0  -- taken out of the row once, not for every mark anew: that took most of the time of a batch
    ) AS known, LATERAL (VALUES
        ('opened', 0),
        ('answered', talk_step(spoken - began)),
        ('automated', CASE WHEN answered IS NOT NULL AND asked IS NULL THEN 0 END),
        ('escalated', CASE WHEN asked IS NOT NULL THEN 0 END),
        ('replied', talk_step(replied - asked)),
        ('overdue', CASE WHEN overdue IS NOT NULL THEN 0 END),
        ('resolved', talk_step(resolved - began)),
        ('closed', CASE WHEN closed IS NOT NULL AND resolved IS NULL THEN 0 END),
        ('rated', score)
    ) AS mark (what, place)
    WHERE mark.place IS NOT NULL
$$;

-- How many conversations count for what, by one dimension at a time ('' is all of them), in quarters of an hour, and summed up by days, weeks (from
-- Monday) and months of the tenant's zone: no answer has to read more than some thousand rows. A row that came to nothing is deleted.
CREATE TABLE talk_counts (
    tenant    text COLLATE "C" NOT NULL,
    dimension text COLLATE "C" NOT NULL,              -- '', channel, flow, team, agent
    grain     text COLLATE "C" NOT NULL,              -- quarter, day, week, month
    period    timestamptz      NOT NULL,              -- its begin
    value     text COLLATE "C" NOT NULL,              -- of the dimension; '' is none
    what      text COLLATE "C" NOT NULL,
    place     integer          NOT NULL,
    n         bigint           NOT NULL,
    PRIMARY KEY (tenant, dimension, grain, period, value, what, place)
) WITH (fillfactor = 70);

-- The zone by which a tenant's days, weeks and months are counted. Where it changes they are made anew from the quarters.
CREATE TABLE talk_zones (
    tenant text PRIMARY KEY,
    zone   text NOT NULL
);
