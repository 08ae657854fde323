-- From what messages were and are to figures: people follow, and it is told by how much each counter is to change (`figures.sql` does it, once a batch).
-- Also whose answers, refusals and orders may belong to other messages now, and from when to when; of most messages, nobody's.
, reached AS (
    INSERT INTO people AS p (cell_id, contact_id, first_sent_at, delivered, opened, clicked, replied, converted, opted_out)
    SELECT (after).cell_id, (after).contact_id, min((after).left_at),
        sum((after).delivered * now_counted - COALESCE((before).delivered, 0) * then_counted),
        sum((after).opened * now_counted - COALESCE((before).opened, 0) * then_counted),
        sum((after).clicked * now_counted - COALESCE((before).clicked, 0) * then_counted),
        sum((after).replied * now_counted - COALESCE((before).replied, 0) * then_counted),
        sum((after).converted * now_counted - COALESCE((before).converted, 0) * then_counted),
        sum((after).opted_out * now_counted - COALESCE((before).opted_out, 0) * then_counted)
    FROM changed,
        LATERAL (SELECT ((after).sent)::integer AS now_counted,
            CASE WHEN (before).cell_id IS NULL THEN 0 ELSE COALESCE((before).sent, 0) END AS then_counted) AS counted
    WHERE (after).cell_id IS NOT NULL AND now_counted + then_counted > 0
    GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (cell_id, contact_id) DO UPDATE SET
        first_sent_at = LEAST(p.first_sent_at, excluded.first_sent_at),
        delivered = p.delivered + excluded.delivered,
        opened = p.opened + excluded.opened,
        clicked = p.clicked + excluded.clicked,
        replied = p.replied + excluded.replied,
        converted = p.converted + excluded.converted,
        opted_out = p.opted_out + excluded.opted_out
    WHERE COALESCE(excluded.first_sent_at < p.first_sent_at, excluded.first_sent_at IS NOT NULL) OR excluded.delivered <> 0 OR excluded.opened <> 0
        OR excluded.clicked <> 0 OR excluded.replied <> 0 OR excluded.converted <> 0 OR excluded.opted_out <> 0
    RETURNING old AS before, new AS after
), signed AS (
    SELECT m, sign FROM changed, LATERAL (VALUES (after, 1), (before, -1)) AS counted (m, sign) WHERE (m).period IS NOT NULL
), differences AS (
    SELECT (m).cell_id, (m).period, sign * (m).sent AS sent, sign * (m).delivered AS delivered, sign * (m).opened AS opened,
        sign * (m).clicked AS clicked, sign * (m).replied AS replied, sign * (m).converted AS converted, sign * (m).opted_out AS opted_out,
        sign * (m).complained AS complained, sign * (m).bounced AS bounced, sign * (m).failed AS failed, sign * (m).unknown AS unknown,
        sign * (m).suppressed AS suppressed, sign * (m).expired AS expired, sign * (m).opened_machine AS opened_machine,
        sign * (m).clicked_machine AS clicked_machine, sign * (m).units AS segments,
        0 AS people_sent, 0 AS people_delivered, 0 AS people_opened, 0 AS people_clicked, 0 AS people_replied, 0 AS people_converted, 0 AS people_opted_out
    FROM signed
    UNION ALL
    SELECT (p).cell_id, (p).period, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, sign, sign * ((p).delivered > 0)::integer,
        sign * ((p).opened > 0)::integer, sign * ((p).clicked > 0)::integer, sign * ((p).replied > 0)::integer, sign * ((p).converted > 0)::integer,
        sign * ((p).opted_out > 0)::integer
    FROM reached, LATERAL (VALUES (after, 1), (before, -1)) AS counted (p, sign) WHERE (p).period IS NOT NULL
), moved AS (
    SELECT (after).contact_id, LEAST((before).left_at, (after).left_at) AS since, GREATEST((before).left_at, (after).left_at) AS until
    FROM changed
    WHERE ROW((before).cell_id, (before).period, (before).left_at, (before).arrived_at, (before).dead)
        IS DISTINCT FROM ROW((after).cell_id, (after).period, (after).left_at, (after).arrived_at, (after).dead)
), stirred AS (
    SELECT contact_id, since, until FROM moved WHERE since IS NOT NULL AND (
        EXISTS (SELECT FROM replies r WHERE r.contact_id = moved.contact_id AND r.at BETWEEN since AND until + interval '72 hours')
        OR EXISTS (SELECT FROM opt_outs o WHERE o.contact_id = moved.contact_id AND o.at BETWEEN since AND until + interval '7 days')
        OR EXISTS (SELECT FROM orders o WHERE o.contact_id = moved.contact_id))
)
SELECT
    (SELECT json_agg(d) FROM (
        SELECT cell_id, period, sum(sent) AS sent, sum(delivered) AS delivered, sum(opened) AS opened, sum(clicked) AS clicked, sum(replied) AS replied,
            sum(converted) AS converted, sum(opted_out) AS opted_out, sum(complained) AS complained, sum(bounced) AS bounced, sum(failed) AS failed,
            sum(unknown) AS unknown, sum(suppressed) AS suppressed, sum(expired) AS expired, sum(opened_machine) AS opened_machine,
            sum(clicked_machine) AS clicked_machine, sum(segments) AS segments, sum(people_sent) AS people_sent,
            sum(people_delivered) AS people_delivered, sum(people_opened) AS people_opened, sum(people_clicked) AS people_clicked,
            sum(people_replied) AS people_replied, sum(people_converted) AS people_converted, sum(people_opted_out) AS people_opted_out
        FROM differences GROUP BY cell_id, period) AS d) AS counters,
    (SELECT json_agg(d) FROM (
        SELECT (m).cell_id, (m).period, (m).ended AS status, (m).why AS reason, sum(sign) AS messages FROM signed WHERE (m).ended IS NOT NULL
        GROUP BY 1, 2, 3, 4 HAVING sum(sign) <> 0) AS d) AS reasons,
    (SELECT json_agg(d) FROM (
        SELECT (m).cell_id, (m).period, (m).currency, 0 AS orders, 0 AS revenue, sum(sign * (m).price) AS cost FROM signed WHERE (m).price IS NOT NULL
        GROUP BY 1, 2, 3 HAVING sum(sign * (m).price) <> 0) AS d) AS money,
    (SELECT array_agg(contact_id ORDER BY contact_id, since, until) FROM stirred) AS contacts,
    (SELECT array_agg(since ORDER BY contact_id, since, until) FROM stirred) AS since,
    (SELECT array_agg(until ORDER BY contact_id, since, until) FROM stirred) AS until
