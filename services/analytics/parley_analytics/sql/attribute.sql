-- Owes every conversion of these contacts to the last click by a person within the tenant's window before it, else, where the tenant's rule says so, to the
-- last message that had arrived within that time. It stands under the cell and quarter of its message; owed to none that counts, under its own quarter.
-- `money.sql` goes on from `moved`.
WITH found AS (
    SELECT o.tenant, o.goal, o.order_id, o.contact_id, m.message_id, CASE WHEN m.period IS NOT NULL THEN m.cell_id END AS cell_id,
        COALESCE(m.period, date_bin('15 minutes', o.at, '2000-01-01 00:00:00+00')) AS period
    FROM orders o
    JOIN unnest($2::text[], $3::interval[], $4::interval[]) AS rule (tenant, click, arrival) ON rule.tenant = o.tenant
    LEFT JOIN LATERAL (
        SELECT h.message_id FROM hits h
        WHERE h.contact_id = o.contact_id AND h.at BETWEEN o.at - click AND o.at AND h.kind = 'clicked' AND h.person
        ORDER BY h.at DESC, h.message_id DESC LIMIT 1
    ) AS clicked ON true
    LEFT JOIN LATERAL (
        SELECT a.message_id FROM messages a
        WHERE clicked.message_id IS NULL AND arrival > interval '0' AND a.contact_id = o.contact_id AND a.left_at <= o.at AND a.cell_id IS NOT NULL
            AND a.arrived_at BETWEEN o.at - arrival AND o.at
        ORDER BY a.arrived_at DESC, a.message_id DESC LIMIT 1
    ) AS arrived ON true
    LEFT JOIN messages m ON m.message_id = COALESCE(clicked.message_id, arrived.message_id)
    WHERE o.contact_id = ANY($1::uuid[])
), moved AS (
    UPDATE orders AS o SET message_id = found.message_id, cell_id = found.cell_id, period = found.period
    FROM found WHERE (o.tenant, o.goal, o.order_id, o.contact_id) = (found.tenant, found.goal, found.order_id, found.contact_id)
        AND ROW(o.message_id, o.cell_id, o.period) IS DISTINCT FROM ROW(found.message_id, found.cell_id, found.period)
    RETURNING old AS before, new AS after
)
