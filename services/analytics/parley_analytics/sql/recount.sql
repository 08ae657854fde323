-- People of whom a message turned out not to have left when it seemed to, or not at all: their first message anew; tells by how much the counters are
-- to change.
WITH known AS (
    SELECT DISTINCT cell_id, contact_id FROM messages WHERE message_id = ANY($1::uuid[]) AND cell_id IS NOT NULL
), anew AS (
    UPDATE people AS p SET first_sent_at = first.at
    FROM (SELECT cell_id, contact_id, min(m.left_at) AS at FROM known JOIN messages m USING (cell_id, contact_id) GROUP BY cell_id, contact_id) AS first
    WHERE p.cell_id = first.cell_id AND p.contact_id = first.contact_id AND p.first_sent_at IS DISTINCT FROM first.at
    RETURNING old AS before, new AS after
)
SELECT array_agg(cell_id) AS people_cells, array_agg(period) AS people_periods, array_agg(counts) AS people_counts FROM (
    SELECT (p).cell_id, (p).period, ARRAY[sum(sign), sum(sign * ((p).delivered > 0)::integer), sum(sign * ((p).opened > 0)::integer),
        sum(sign * ((p).clicked > 0)::integer), sum(sign * ((p).replied > 0)::integer), sum(sign * ((p).converted > 0)::integer),
        sum(sign * ((p).opted_out > 0)::integer)] AS counts
    FROM anew, LATERAL (VALUES (after, 1), (before, -1)) AS counted (p, sign) WHERE (p).period IS NOT NULL
    GROUP BY 1, 2
) AS d
