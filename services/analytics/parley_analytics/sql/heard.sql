-- Takes what people wrote, and their refusals.
WITH wrote AS (
    INSERT INTO replies (contact_id, at, reply_id, channel)
    SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[]) ON CONFLICT DO NOTHING
)
INSERT INTO opt_outs AS o (contact_id, at, channel, told)
SELECT * FROM unnest($5::uuid[], $6::timestamptz[], $7::text[], $8::uuid[]) AS given (contact_id, at, channel)
ON CONFLICT (contact_id, at, channel) DO UPDATE SET told = LEAST(o.told, excluded.told) WHERE excluded.told < o.told
