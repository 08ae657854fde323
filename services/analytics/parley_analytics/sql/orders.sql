-- Takes clicks and orders as told. An order told twice keeps its least telling, whichever came first.
WITH clicked AS (
    INSERT INTO clicks (contact_id, at, message_id)
    SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[]) ON CONFLICT DO NOTHING
)
INSERT INTO orders AS o (tenant, order_id, contact_id, at, value, currency)
SELECT * FROM unnest($4::text[], $5::text[], $6::uuid[], $7::timestamptz[], $8::numeric[], $9::text[]) AS given (tenant, order_id)
ORDER BY tenant, order_id
ON CONFLICT (tenant, order_id) DO UPDATE SET
    contact_id = excluded.contact_id, at = excluded.at, value = excluded.value, currency = excluded.currency
WHERE excluded.at < o.at OR (NOT o.erased
    AND (excluded.at, excluded.contact_id, excluded.value, excluded.currency COLLATE "C") < (o.at, o.contact_id, o.value, o.currency COLLATE "C"))
