-- One batch, in one statement: facts become earlier, people follow, and the counters take the difference between what a row counts now and before.
-- Each table is written in order of its key, so that two replicas wait for each other instead of locking each other out.
WITH named AS (
    INSERT INTO cells (cell_id, tenant, campaign, channel, variant, purpose)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) AS given (cell_id) ORDER BY cell_id
    ON CONFLICT DO NOTHING
), changed AS (
    INSERT INTO messages AS m (message_id, contact_id, cell_id, sent_at, delivered_at, read_at, opened_at, clicked_at, opened_machine_at,
        clicked_machine_at, failed_at, unknown_at, suppressed_at, expired_at, orders)
    SELECT * FROM unnest($7::uuid[], $8::uuid[], $9::uuid[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[],
        $14::timestamptz[], $15::timestamptz[], $16::timestamptz[], $17::timestamptz[], $18::timestamptz[], $19::timestamptz[], $20::timestamptz[],
        $21::integer[]) AS given (message_id) ORDER BY message_id
    ON CONFLICT (message_id) DO UPDATE SET
        cell_id = COALESCE(m.cell_id, excluded.cell_id),
        sent_at = LEAST(m.sent_at, excluded.sent_at),
        delivered_at = LEAST(m.delivered_at, excluded.delivered_at),
        read_at = LEAST(m.read_at, excluded.read_at),
        opened_at = LEAST(m.opened_at, excluded.opened_at),
        clicked_at = LEAST(m.clicked_at, excluded.clicked_at),
        opened_machine_at = LEAST(m.opened_machine_at, excluded.opened_machine_at),
        clicked_machine_at = LEAST(m.clicked_machine_at, excluded.clicked_machine_at),
        failed_at = LEAST(m.failed_at, excluded.failed_at),
        unknown_at = LEAST(m.unknown_at, excluded.unknown_at),
        suppressed_at = LEAST(m.suppressed_at, excluded.suppressed_at),
        expired_at = LEAST(m.expired_at, excluded.expired_at),
        orders = m.orders + excluded.orders
    -- A repeat changes nothing and must write nothing. `<` is null where the old fact is missing, COALESCE makes that "new".
    WHERE (m.cell_id IS NULL AND excluded.cell_id IS NOT NULL) OR excluded.orders <> 0
        OR (excluded.sent_at IS NOT NULL AND COALESCE(excluded.sent_at < m.sent_at, true))
        OR (excluded.delivered_at IS NOT NULL AND COALESCE(excluded.delivered_at < m.delivered_at, true))
        OR (excluded.read_at IS NOT NULL AND COALESCE(excluded.read_at < m.read_at, true))
        OR (excluded.opened_at IS NOT NULL AND COALESCE(excluded.opened_at < m.opened_at, true))
        OR (excluded.clicked_at IS NOT NULL AND COALESCE(excluded.clicked_at < m.clicked_at, true))
        OR (excluded.opened_machine_at IS NOT NULL AND COALESCE(excluded.opened_machine_at < m.opened_machine_at, true))
        OR (excluded.clicked_machine_at IS NOT NULL AND COALESCE(excluded.clicked_machine_at < m.clicked_machine_at, true))
        OR (excluded.failed_at IS NOT NULL AND COALESCE(excluded.failed_at < m.failed_at, true))
        OR (excluded.unknown_at IS NOT NULL AND COALESCE(excluded.unknown_at < m.unknown_at, true))
        OR (excluded.suppressed_at IS NOT NULL AND COALESCE(excluded.suppressed_at < m.suppressed_at, true))
        OR (excluded.expired_at IS NOT NULL AND COALESCE(excluded.expired_at < m.expired_at, true))
    RETURNING old AS before, new AS after
), reached AS (
    INSERT INTO people AS p (cell_id, contact_id, first_sent_at, delivered, opened, clicked, orders)
    SELECT (after).cell_id, (after).contact_id, min((after).sent_at), max((after).delivered), max((after).opened), max((after).clicked),
        sum((after).orders - CASE WHEN (before).cell_id IS NULL OR (before).sent_at IS NULL THEN 0 ELSE (before).orders END)
    FROM changed WHERE (after).cell_id IS NOT NULL AND (after).sent_at IS NOT NULL
    GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (cell_id, contact_id) DO UPDATE SET
        first_sent_at = LEAST(p.first_sent_at, excluded.first_sent_at),
        delivered = GREATEST(p.delivered, excluded.delivered),
        opened = GREATEST(p.opened, excluded.opened),
        clicked = GREATEST(p.clicked, excluded.clicked),
        orders = p.orders + excluded.orders
    WHERE excluded.first_sent_at < p.first_sent_at OR excluded.delivered > p.delivered OR excluded.opened > p.opened
        OR excluded.clicked > p.clicked OR excluded.orders <> 0
    RETURNING old AS before, new AS after
), differences AS (
    SELECT (m).cell_id, (m).period, sign * (m).sent AS sent, sign * (m).delivered AS delivered, sign * (m).opened AS opened,
        sign * (m).clicked AS clicked, sign * (m).converted AS converted, sign * (m).opened_machine AS opened_machine,
        sign * (m).clicked_machine AS clicked_machine, sign * (m).failed AS failed, sign * (m).unknown AS unknown,
        sign * (m).suppressed AS suppressed, sign * (m).expired AS expired,
        0 AS people_sent, 0 AS people_delivered, 0 AS people_opened, 0 AS people_clicked, 0 AS people_converted
    FROM changed, LATERAL (VALUES (after, 1), (before, -1)) AS counted (m, sign)
    UNION ALL
    SELECT (p).cell_id, (p).period, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        sign * (p).sent, sign * (p).delivered, sign * (p).opened, sign * (p).clicked, sign * (p).converted
    FROM reached, LATERAL (VALUES (after, 1), (before, -1)) AS counted (p, sign)
)
INSERT INTO counters AS c
SELECT cell_id, period, sum(sent), sum(delivered), sum(opened), sum(clicked), sum(converted), sum(opened_machine), sum(clicked_machine),
    sum(failed), sum(unknown), sum(suppressed), sum(expired),
    sum(people_sent), sum(people_delivered), sum(people_opened), sum(people_clicked), sum(people_converted)
FROM differences WHERE period IS NOT NULL
GROUP BY cell_id, period ORDER BY cell_id, period
ON CONFLICT (cell_id, period) DO UPDATE SET
    sent = c.sent + excluded.sent,
    delivered = c.delivered + excluded.delivered,
    opened = c.opened + excluded.opened,
    clicked = c.clicked + excluded.clicked,
    converted = c.converted + excluded.converted,
    opened_machine = c.opened_machine + excluded.opened_machine,
    clicked_machine = c.clicked_machine + excluded.clicked_machine,
    failed = c.failed + excluded.failed,
    unknown = c.unknown + excluded.unknown,
    suppressed = c.suppressed + excluded.suppressed,
    expired = c.expired + excluded.expired,
    people_sent = c.people_sent + excluded.people_sent,
    people_delivered = c.people_delivered + excluded.people_delivered,
    people_opened = c.people_opened + excluded.people_opened,
    people_clicked = c.people_clicked + excluded.people_clicked,
    people_converted = c.people_converted + excluded.people_converted
