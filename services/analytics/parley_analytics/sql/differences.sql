    -- The end of `count.sql` and `correct.sql`: from what messages were and are to figures. People follow, and it is told by how much each counter is
    -- to change (those of messages and those of people, in the order of the columns of `counters`; `figures.sql` does it, once a batch). Also whose
    -- answers, refusals and orders may belong to other messages now, and from when to when; of most, nobody's.
    RETURNING new.contact_id, old.cell_id AS old_cell_id, new.cell_id AS new_cell_id, old.period AS old_period, new.period AS new_period,
        old.left_at AS old_left_at, new.left_at AS new_left_at, old.arrived_at AS old_arrived_at, new.arrived_at AS new_arrived_at,
        old.dead AS old_dead, new.dead AS new_dead,
        old.sent AS old_sent, new.sent AS new_sent, old.delivered AS old_delivered, new.delivered AS new_delivered, old.opened AS old_opened,
        new.opened AS new_opened, old.clicked AS old_clicked, new.clicked AS new_clicked, old.replied AS old_replied, new.replied AS new_replied,
        old.converted AS old_converted, new.converted AS new_converted, old.opted_out AS old_opted_out, new.opted_out AS new_opted_out,
        old.complained AS old_complained, new.complained AS new_complained, old.bounced AS old_bounced, new.bounced AS new_bounced,
        old.failed AS old_failed, new.failed AS new_failed, old.unknown AS old_unknown, new.unknown AS new_unknown, old.suppressed AS old_suppressed,
        new.suppressed AS new_suppressed, old.expired AS old_expired, new.expired AS new_expired, old.opened_machine AS old_opened_machine,
        new.opened_machine AS new_opened_machine, old.clicked_machine AS old_clicked_machine, new.clicked_machine AS new_clicked_machine,
        old.units AS old_units, new.units AS new_units,
        old.ended AS old_ended, new.ended AS new_ended, old.why AS old_why, new.why AS new_why, old.price AS old_price, new.price AS new_price,
        old.currency AS old_currency, new.currency AS new_currency
), weighed AS (
    SELECT changed.*, CASE WHEN old_cell_id IS NULL THEN 0 ELSE old_sent END AS counted FROM changed WHERE new_cell_id IS NOT NULL
), reached AS (
    INSERT INTO people AS p (cell_id, contact_id, first_sent_at, delivered, opened, clicked, replied, converted, opted_out)
    SELECT new_cell_id, contact_id, min(new_left_at),
        sum(new_delivered - CASE WHEN counted = 1 THEN old_delivered ELSE 0 END), sum(new_opened - CASE WHEN counted = 1 THEN old_opened ELSE 0 END),
        sum(new_clicked - CASE WHEN counted = 1 THEN old_clicked ELSE 0 END), sum(new_replied - CASE WHEN counted = 1 THEN old_replied ELSE 0 END),
        sum(new_converted - CASE WHEN counted = 1 THEN old_converted ELSE 0 END),
        sum(new_opted_out - CASE WHEN counted = 1 THEN old_opted_out ELSE 0 END)
    FROM weighed WHERE new_sent + counted > 0
    GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (cell_id, contact_id) DO UPDATE SET
        first_sent_at = LEAST(p.first_sent_at, excluded.first_sent_at),
        delivered = p.delivered + excluded.delivered,
        opened = p.opened + excluded.opened,
        clicked = p.clicked + excluded.clicked,
        replied = p.replied + excluded.replied,
        converted = p.converted + excluded.converted,
        opted_out = p.opted_out + excluded.opted_out
    WHERE COALESCE(excluded.first_sent_at < p.first_sent_at, excluded.first_sent_at IS NOT NULL)
        OR excluded.delivered <> 0 OR excluded.opened <> 0 OR excluded.clicked <> 0 OR excluded.replied <> 0 OR excluded.converted <> 0 OR
        excluded.opted_out <> 0
    RETURNING new.cell_id, old.period AS old_period, new.period AS new_period, old.delivered AS old_delivered, new.delivered AS new_delivered,
        old.opened AS old_opened,
        new.opened AS new_opened, old.clicked AS old_clicked, new.clicked AS new_clicked, old.replied AS old_replied, new.replied AS new_replied,
        old.converted AS old_converted, new.converted AS new_converted, old.opted_out AS old_opted_out, new.opted_out AS new_opted_out
), signed AS (
    SELECT 1 AS sign, new_cell_id AS cell_id, new_period AS period, new_sent AS sent, new_delivered AS delivered, new_opened AS opened,
        new_clicked AS clicked, new_replied AS replied, new_converted AS converted,
        new_opted_out AS opted_out, new_complained AS complained, new_bounced AS bounced, new_failed AS failed, new_unknown AS unknown,
        new_suppressed AS suppressed, new_expired AS expired, new_opened_machine AS opened_machine, new_clicked_machine AS clicked_machine,
        new_units AS units, new_ended AS ended, new_why AS why, new_price AS price, new_currency AS currency
    FROM changed WHERE new_period IS NOT NULL
    UNION ALL
    SELECT -1, old_cell_id, old_period, old_sent, old_delivered, old_opened, old_clicked, old_replied, old_converted, old_opted_out, old_complained,
        old_bounced, old_failed,
        old_unknown, old_suppressed, old_expired, old_opened_machine, old_clicked_machine, old_units, old_ended, old_why, old_price, old_currency
    FROM changed WHERE old_period IS NOT NULL
), stirred AS (
    SELECT contact_id, LEAST(old_left_at, new_left_at) AS since, GREATEST(old_left_at, new_left_at) AS until FROM changed
    WHERE COALESCE(old_left_at, new_left_at) IS NOT NULL AND ROW(old_cell_id, old_period, old_left_at, old_arrived_at, old_dead)
        IS DISTINCT FROM ROW(new_cell_id, new_period, new_left_at, new_arrived_at, new_dead)
), asking AS (
    SELECT array_agg(contact_id) AS contacts, array_agg(since) AS since, array_agg(until) AS until, array_agg(wrote) AS wrote,
        array_agg(refused) AS refused, array_agg(bought) AS bought
    FROM (
        SELECT contact_id, since, until,
            EXISTS (SELECT FROM replies r WHERE r.contact_id = stirred.contact_id AND r.at BETWEEN since AND until + interval '72 hours') AS wrote,
            EXISTS (SELECT FROM opt_outs o WHERE o.contact_id = stirred.contact_id AND o.at BETWEEN since AND until + interval '7 days') AS refused,
            EXISTS (SELECT FROM orders o WHERE o.contact_id = stirred.contact_id AND o.at >= since) AS bought
        FROM stirred OFFSET 0
    ) AS known WHERE wrote OR refused OR bought
), counted AS (
    SELECT array_agg(cell_id) AS cells, array_agg(period) AS periods, array_agg(counts) AS counts FROM (
        SELECT cell_id, period, ARRAY[sum(sign * sent), sum(sign * delivered), sum(sign * opened), sum(sign * clicked), sum(sign * replied),
            sum(sign * converted), sum(sign * opted_out), sum(sign * complained), sum(sign * bounced), sum(sign * failed), sum(sign * unknown),
            sum(sign * suppressed), sum(sign * expired), sum(sign * opened_machine), sum(sign * clicked_machine), sum(sign * units)] AS counts
        FROM signed GROUP BY cell_id, period) AS d
), met AS (
    SELECT array_agg(cell_id) AS people_cells, array_agg(period) AS people_periods, array_agg(counts) AS people_counts FROM (
        SELECT cell_id, period, ARRAY[sum(sign), sum(sign * (delivered > 0)::integer), sum(sign * (opened > 0)::integer),
            sum(sign * (clicked > 0)::integer), sum(sign * (replied > 0)::integer), sum(sign * (converted > 0)::integer),
            sum(sign * (opted_out > 0)::integer)] AS counts
        FROM (
            SELECT 1 AS sign, cell_id, new_period AS period, new_delivered AS delivered, new_opened AS opened, new_clicked AS clicked,
                new_replied AS replied, new_converted AS converted, new_opted_out AS opted_out FROM reached WHERE new_period IS NOT NULL
            UNION ALL
            SELECT -1, cell_id, old_period, old_delivered, old_opened, old_clicked, old_replied, old_converted, old_opted_out
            FROM reached WHERE old_period IS NOT NULL
        ) AS people GROUP BY cell_id, period) AS d
)
SELECT counted.*, met.*, asking.*,
    (SELECT json_agg(d) FROM (
        SELECT cell_id, period, ended AS status, why AS reason, sum(sign) AS messages FROM signed WHERE ended IS NOT NULL
        GROUP BY 1, 2, 3, 4 HAVING sum(sign) <> 0) AS d) AS reasons,
    (SELECT json_agg(d) FROM (
        SELECT cell_id, period, currency, 0 AS orders, 0 AS revenue, sum(sign * price) AS cost FROM signed WHERE price IS NOT NULL
        GROUP BY 1, 2, 3 HAVING sum(sign * price) <> 0) AS d) AS money
FROM counted, met, asking
