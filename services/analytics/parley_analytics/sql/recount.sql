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
SELECT json_agg(d) AS counters FROM (
    SELECT (p).cell_id, (p).period, 0 AS sent, 0 AS delivered, 0 AS opened, 0 AS clicked, 0 AS replied, 0 AS converted, 0 AS opted_out,
        0 AS complained, 0 AS bounced, 0 AS failed,
        0 AS unknown, 0 AS suppressed, 0 AS expired, 0 AS opened_machine, 0 AS clicked_machine, 0 AS segments,
        sum(sign) AS people_sent, sum(sign * ((p).delivered > 0)::integer) AS people_delivered, sum(sign * ((p).opened > 0)::integer) AS people_opened,
        sum(sign * ((p).clicked > 0)::integer) AS people_clicked, sum(sign * ((p).replied > 0)::integer) AS people_replied,
        sum(sign * ((p).converted > 0)::integer) AS people_converted, sum(sign * ((p).opted_out > 0)::integer) AS people_opted_out
    FROM anew, LATERAL (VALUES (after, 1), (before, -1)) AS counted (p, sign) WHERE (p).period IS NOT NULL
    GROUP BY 1, 2
) AS d
