-- From where conversions stood and stand to money: people follow, and it is told by how much the money of cells, their worth and what is nobody's are to
-- change (`figures.sql` does it, once a batch), and which conversions moved from one message to another.
, signed AS (
    SELECT o, sign FROM moved, LATERAL (VALUES (after, 1), (before, -1)) AS counted (o, sign) WHERE (o).period IS NOT NULL
), owed AS (
    SELECT (o).cell_id, (o).period, (o).contact_id, (o).currency, sign AS orders, sign * (o).value AS value FROM signed WHERE (o).cell_id IS NOT NULL
), spent AS (
    INSERT INTO spenders AS s SELECT cell_id, contact_id, currency, sum(orders), sum(value) FROM owed
    GROUP BY 1, 2, 3 HAVING sum(orders) <> 0 OR sum(value) <> 0 ORDER BY 1, 2, 3
    ON CONFLICT (cell_id, contact_id, currency) DO UPDATE SET orders = s.orders + excluded.orders, total = s.total + excluded.total
    RETURNING old AS before, new AS after
)
SELECT
    (SELECT json_agg(d) FROM (SELECT cell_id, period, currency, sum(orders) AS orders, sum(value) AS revenue, 0 AS cost FROM owed GROUP BY 1, 2, 3) AS d)
        AS money,
    (SELECT json_agg(d) FROM (
        SELECT (s).cell_id, (s).currency, sum(sign * ((s).orders > 0)::integer) AS people, sum(sign * (s).total) AS total,
            sum(sign * (s).total * (s).total) AS squares
        FROM spent, LATERAL (VALUES (after, 1), (before, -1)) AS counted (s, sign) WHERE (s).cell_id IS NOT NULL GROUP BY 1, 2) AS d) AS worth,
    (SELECT json_agg(d) FROM (
        SELECT (o).tenant, (o).goal, (o).period, (o).currency, sum(sign) AS happened, sum(sign * (o).value) AS value FROM signed
        WHERE (o).cell_id IS NULL GROUP BY 1, 2, 3, 4) AS d) AS unowed,
    (SELECT json_agg(d) FROM (
        SELECT (before).message_id AS before, (after).message_id AS after, (after).contact_id FROM moved
        WHERE (before).message_id IS DISTINCT FROM (after).message_id) AS d) AS moves,
    (SELECT array_agg(DISTINCT (before).contact_id) FROM moved WHERE (before).contact_id <> (after).contact_id) AS former
