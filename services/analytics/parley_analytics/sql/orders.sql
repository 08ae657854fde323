-- Takes conversions as told. One told twice keeps its least telling, whichever came first, and stands nowhere until it is owed anew.
-- `money.sql` goes on from `moved`.
WITH moved AS (
    INSERT INTO orders AS o (tenant, goal, order_id, contact_id, at, value, currency)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::timestamptz[], $6::numeric[], $7::text[]) AS given (tenant, goal, order_id)
    ORDER BY tenant, goal, order_id
    ON CONFLICT (tenant, goal, order_id) DO UPDATE SET contact_id = excluded.contact_id, at = excluded.at, value = excluded.value,
        currency = excluded.currency, message_id = NULL, cell_id = NULL, period = NULL
    WHERE excluded.at < o.at OR (NOT o.erased
        AND (excluded.at, excluded.contact_id, excluded.value, excluded.currency COLLATE "C") < (o.at, o.contact_id, o.value, o.currency COLLATE "C"))
    RETURNING old AS before, new AS after
)
