-- All figures that a batch changes, at its end and each once: rows that many batches write are held no longer than need be, and always in the same order.
-- The parameters are differences: of counters by cell and quarter, in the order of the columns, added up already; of the rest as the other statements
-- tell them.
WITH counted AS (
    INSERT INTO counters AS c
    SELECT ($1::uuid[])[i], ($2::timestamptz[])[i],
        n[i][1], n[i][2], n[i][3], n[i][4], n[i][5], n[i][6], n[i][7], n[i][8],
        n[i][9], n[i][10], n[i][11], n[i][12], n[i][13], n[i][14], n[i][15], n[i][16],
        n[i][17], n[i][18], n[i][19], n[i][20], n[i][21], n[i][22], n[i][23]
    FROM (SELECT $3::bigint[] AS n) AS told, generate_subscripts($1::uuid[], 1) AS i
    ORDER BY 1, 2
    ON CONFLICT (cell_id, period) DO UPDATE SET
        sent = c.sent + excluded.sent,
        delivered = c.delivered + excluded.delivered,
        opened = c.opened + excluded.opened,
        clicked = c.clicked + excluded.clicked,
        replied = c.replied + excluded.replied,
        converted = c.converted + excluded.converted,
        opted_out = c.opted_out + excluded.opted_out,
        complained = c.complained + excluded.complained,
        bounced = c.bounced + excluded.bounced,
        failed = c.failed + excluded.failed,
        unknown = c.unknown + excluded.unknown,
        suppressed = c.suppressed + excluded.suppressed,
        expired = c.expired + excluded.expired,
        opened_machine = c.opened_machine + excluded.opened_machine,
        clicked_machine = c.clicked_machine + excluded.clicked_machine,
        segments = c.segments + excluded.segments,
        people_sent = c.people_sent + excluded.people_sent,
        people_delivered = c.people_delivered + excluded.people_delivered,
        people_opened = c.people_opened + excluded.people_opened,
        people_clicked = c.people_clicked + excluded.people_clicked,
        people_replied = c.people_replied + excluded.people_replied,
        people_converted = c.people_converted + excluded.people_converted,
        people_opted_out = c.people_opted_out + excluded.people_opted_out
), explained AS (
    INSERT INTO reasons AS r
    SELECT cell_id, period, status, reason, sum(messages)
    FROM unnest($4::json[]) AS told, json_to_recordset(told) AS d (cell_id uuid, period timestamptz, status text, reason text, messages bigint)
    GROUP BY 1, 2, 3, 4 HAVING sum(messages) <> 0 ORDER BY 1, 2, 3, 4
    ON CONFLICT (cell_id, period, status, reason) DO UPDATE SET messages = r.messages + excluded.messages
), earned AS (
    INSERT INTO money AS m
    SELECT cell_id, period, currency, sum(orders), sum(revenue), sum(cost)
    FROM unnest($5::json[]) AS told,
        json_to_recordset(told) AS d (cell_id uuid, period timestamptz, currency text, orders bigint, revenue numeric, cost numeric)
    GROUP BY 1, 2, 3 HAVING sum(orders) <> 0 OR sum(revenue) <> 0 OR sum(cost) <> 0 ORDER BY 1, 2, 3
    ON CONFLICT (cell_id, period, currency) DO UPDATE SET
        orders = m.orders + excluded.orders, revenue = m.revenue + excluded.revenue, cost = m.cost + excluded.cost
), weighed AS (
    INSERT INTO worth AS w
    SELECT cell_id, currency, sum(people), sum(total), sum(squares)
    FROM unnest($6::json[]) AS told, json_to_recordset(told) AS d (cell_id uuid, currency text, people bigint, total numeric, squares numeric)
    GROUP BY 1, 2 HAVING sum(people) <> 0 OR sum(total) <> 0 OR sum(squares) <> 0 ORDER BY 1, 2
    ON CONFLICT (cell_id, currency) DO UPDATE SET people = w.people + excluded.people, total = w.total + excluded.total,
        squares = w.squares + excluded.squares
)
INSERT INTO unowed AS u
SELECT tenant, goal, period, currency, sum(happened), sum(value)
FROM unnest($7::json[]) AS told,
    json_to_recordset(told) AS d (tenant text, goal text, period timestamptz, currency text, happened bigint, value numeric)
GROUP BY 1, 2, 3, 4 HAVING sum(happened) <> 0 OR sum(value) <> 0 ORDER BY 1, 2, 3, 4
ON CONFLICT (tenant, goal, period, currency) DO UPDATE SET happened = u.happened + excluded.happened, value = u.value + excluded.value
