-- One batch of conversations, in one statement: their steps become earlier, and the counters take the difference between what a row counts now and before.
-- The counters are written in order of their key, so that two replicas wait for each other instead of locking each other out. Gives those that are nothing now.
WITH changed AS (
    INSERT INTO talks AS t (conversation_id, tenant, opened_at, answered_at, escalated_at, assigned_at, replied_at, resolved_at, closed_at, overdue_at,
        rated_at, channel, flow, team, agent, score)
    SELECT conversation_id, tenant, opened_at, answered_at, escalated_at, assigned_at, replied_at, resolved_at, closed_at, overdue_at, rated_at,
        CASE WHEN channel IS NOT NULL THEN ROW(channel_at, channel)::told END, CASE WHEN flow IS NOT NULL THEN ROW(flow_at, flow)::told END,
        CASE WHEN team IS NOT NULL THEN ROW(team_at, team)::told END, CASE WHEN agent IS NOT NULL THEN ROW(agent_at, agent)::told END,
        CASE WHEN score IS NOT NULL THEN ROW(score_at, score)::told END
    FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[],
        $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::text[], $14::timestamptz[], $15::text[], $16::timestamptz[],
        $17::text[], $18::timestamptz[], $19::text[], $20::timestamptz[], $21::text[]) AS given (conversation_id, tenant, opened_at, answered_at, escalated_at,
        assigned_at, replied_at, resolved_at, closed_at, overdue_at, rated_at, channel_at, channel, flow_at, flow, team_at, team, agent_at, agent, score_at,
        score)
    ORDER BY conversation_id
    ON CONFLICT (conversation_id) DO UPDATE SET
        opened_at = LEAST(t.opened_at, excluded.opened_at),
        answered_at = LEAST(t.answered_at, excluded.answered_at),
        escalated_at = LEAST(t.escalated_at, excluded.escalated_at),
        assigned_at = LEAST(t.assigned_at, excluded.assigned_at),
        replied_at = LEAST(t.replied_at, excluded.replied_at),
        resolved_at = LEAST(t.resolved_at, excluded.resolved_at),
        closed_at = LEAST(t.closed_at, excluded.closed_at),
        overdue_at = LEAST(t.overdue_at, excluded.overdue_at),
        rated_at = LEAST(t.rated_at, excluded.rated_at),
        channel = LEAST(t.channel, excluded.channel),
        flow = LEAST(t.flow, excluded.flow),
        team = GREATEST(t.team, excluded.team),
        agent = GREATEST(t.agent, excluded.agent),
        score = GREATEST(t.score, excluded.score)
    -- A repeat changes nothing and must write nothing.
    WHERE (t.opened_at, t.answered_at, t.escalated_at, t.assigned_at, t.replied_at, t.resolved_at, t.closed_at, t.overdue_at,
            t.rated_at, t.channel, t.flow, t.team, t.agent, t.score)
        IS DISTINCT FROM (LEAST(t.opened_at, excluded.opened_at), LEAST(t.answered_at, excluded.answered_at), LEAST(t.escalated_at, excluded.escalated_at),
            LEAST(t.assigned_at, excluded.assigned_at), LEAST(t.replied_at, excluded.replied_at), LEAST(t.resolved_at, excluded.resolved_at),
            LEAST(t.closed_at, excluded.closed_at), LEAST(t.overdue_at, excluded.overdue_at), LEAST(t.rated_at, excluded.rated_at),
            LEAST(t.channel, excluded.channel), LEAST(t.flow, excluded.flow), GREATEST(t.team, excluded.team), GREATEST(t.agent, excluded.agent), GREATEST(t.score, excluded.score))
    RETURNING old AS before, new AS after
), marked AS MATERIALIZED ( -- what is as it was goes away here, before it is multiplied
    SELECT (t).tenant, COALESCE(((t).channel).said, '') AS channel, COALESCE(((t).flow).said, '') AS flow, COALESCE(((t).team).said, '') AS team,
        COALESCE(((t).agent).said, '') AS agent, began, what, place, sum(sign) AS n
    FROM changed, LATERAL (VALUES (after, 1), (before, -1)) AS counted (t, sign), LATERAL talk_marks(t)
    WHERE (t).conversation_id IS NOT NULL
    GROUP BY (t).conversation_id, 1, 2, 3, 4, 5, began, what, place HAVING sum(sign) <> 0
), differences AS (
    SELECT tenant, dimension, grain, period, value, what, place, sum(n) AS n
    FROM marked JOIN talk_zones USING (tenant), LATERAL (VALUES
        ('', ''), ('channel', channel), ('flow', flow), ('team', team), ('agent', agent)
    ) AS sorted (dimension, value), LATERAL (VALUES
        ('quarter', date_bin('15 minutes', began, '2000-01-01 00:00:00+00')), ('day', date_trunc('day', began, zone)),
        ('week', date_trunc('week', began, zone)), ('month', date_trunc('month', began, zone))
    ) AS lasting (grain, period)
    GROUP BY tenant, dimension, grain, period, value, what, place HAVING sum(n) <> 0
), counted AS (
    INSERT INTO talk_counts AS c (tenant, dimension, grain, period, value, what, place, n)
    SELECT * FROM differences
    ORDER BY tenant COLLATE "C", dimension COLLATE "C", grain COLLATE "C", period, value COLLATE "C", what COLLATE "C", place
    ON CONFLICT (tenant, dimension, grain, period, value, what, place) DO UPDATE SET n = c.n + excluded.n
    RETURNING *
)
SELECT tenant, dimension, grain, period, value, what, place FROM counted WHERE n = 0
