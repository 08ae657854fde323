-- What became of people who were drawn, in one statement: their first draw, of those told ($1 to $5) and those known of these contacts ($6); what they did
-- since, looked up anew; and the counters take the difference. $7 and $8: how long after a draw a conversion counts, by tenant.
WITH told AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[]) AS told (experiment_id, contact_id, design_id, variant, at)
    UNION ALL
    SELECT experiment_id, contact_id, design_id, variant, at FROM drawn WHERE contact_id = ANY($6::uuid[])
), earliest AS (
    SELECT DISTINCT ON (experiment_id, contact_id) * FROM told ORDER BY experiment_id, contact_id, at, design_id, variant COLLATE "C"
), placed AS (
    SELECT earliest.*, tenant, campaign, at + length AS until
    FROM earliest JOIN designs USING (design_id, experiment_id) JOIN unnest($7::text[], $8::interval[]) AS windows (tenant, length) USING (tenant)
), followed AS (
    INSERT INTO drawn AS d (experiment_id, contact_id, design_id, variant, at, opened, clicked, replied, orders, spent)
    SELECT experiment_id, placed.contact_id, design_id, variant, placed.at, seen.opened, seen.clicked, seen.replied, bought.orders, bought.spent
    FROM placed CROSS JOIN LATERAL (
        SELECT COALESCE(max(opened), 0) AS opened, COALESCE(max(clicked), 0) AS clicked, COALESCE(max(replied), 0) AS replied
        FROM messages JOIN cells USING (cell_id)
        WHERE messages.contact_id = placed.contact_id AND left_at >= placed.at AND cells.tenant = placed.tenant AND cells.campaign = placed.campaign
    ) AS seen CROSS JOIN LATERAL (
        SELECT COALESCE(sum(orders), 0) AS orders, COALESCE(jsonb_object_agg(currency, value) FILTER (WHERE value <> 0), '{}') AS spent
        FROM (
            SELECT currency, count(*) AS orders, sum(value) AS value FROM orders
            WHERE orders.contact_id = placed.contact_id AND orders.tenant = placed.tenant AND orders.at BETWEEN placed.at AND placed.until
            GROUP BY currency
        ) AS each
    ) AS bought
    ORDER BY experiment_id, placed.contact_id
    ON CONFLICT (experiment_id, contact_id) DO UPDATE SET
        design_id = excluded.design_id, variant = excluded.variant, at = excluded.at,
        opened = excluded.opened, clicked = excluded.clicked, replied = excluded.replied, orders = excluded.orders, spent = excluded.spent
    WHERE (d.design_id, d.variant, d.at, d.opened, d.clicked, d.replied, d.orders, d.spent) IS DISTINCT FROM (excluded.design_id, excluded.variant,
        excluded.at, excluded.opened, excluded.clicked, excluded.replied, excluded.orders, excluded.spent)
    RETURNING old AS before, new AS after
), counted AS (
    INSERT INTO arms AS a
    SELECT (d).design_id, (d).variant, (d).period, sum(sign), sum(sign * (d).opened), sum(sign * (d).clicked), sum(sign * (d).replied),
        sum(sign * (d).converted)
    FROM followed, LATERAL (VALUES (after, 1), (before, -1)) AS counted (d, sign) WHERE (d).design_id IS NOT NULL
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (design_id, variant, period) DO UPDATE SET
        people = a.people + excluded.people, opened = a.opened + excluded.opened, clicked = a.clicked + excluded.clicked,
        replied = a.replied + excluded.replied, converted = a.converted + excluded.converted
)
INSERT INTO spending AS s
SELECT (d).design_id, (d).variant, key, sum(sign), sum(sign * value::numeric), sum(sign * value::numeric * value::numeric)
FROM followed, LATERAL (VALUES (after, 1), (before, -1)) AS counted (d, sign), LATERAL jsonb_each_text((d).spent)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (design_id, variant, currency) DO UPDATE SET
    people = s.people + excluded.people, total = s.total + excluded.total, squares = s.squares + excluded.squares
