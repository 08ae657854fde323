-- The times of opens and clicks of messages of which a hit was judged anew, as all judgements now say. `differences.sql` goes on.
WITH changed AS (
    UPDATE messages AS m SET opened_at = judged.opened_at, clicked_at = judged.clicked_at,
        opened_machine_at = judged.opened_machine_at, clicked_machine_at = judged.clicked_machine_at
    FROM (
        SELECT message_id, min(at) FILTER (WHERE kind = 'opened' AND person) AS opened_at, min(at) FILTER (WHERE kind = 'clicked' AND person) AS clicked_at,
            min(at) FILTER (WHERE kind = 'opened' AND NOT person) AS opened_machine_at,
            min(at) FILTER (WHERE kind = 'clicked' AND NOT person) AS clicked_machine_at
        FROM hits WHERE contact_id = ANY($1::uuid[]) AND message_id = ANY($2::uuid[]) GROUP BY message_id
    ) AS judged
    WHERE m.message_id = judged.message_id
