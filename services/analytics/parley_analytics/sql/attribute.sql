-- Owes every order of these contacts to the last click by a person within the window before it, and tells which orders moved.
UPDATE orders SET message_id = owed.message_id
FROM (
    SELECT tenant, order_id, contact_id, (
        SELECT clicks.message_id FROM clicks
        WHERE clicks.contact_id = placed.contact_id AND clicks.at BETWEEN placed.at - $2::interval AND placed.at
        ORDER BY clicks.at DESC, clicks.message_id DESC LIMIT 1
    ) AS message_id
    FROM orders AS placed WHERE placed.contact_id = ANY($1::uuid[])
) AS owed
WHERE orders.tenant = owed.tenant AND orders.order_id = owed.order_id AND orders.contact_id = owed.contact_id
    AND orders.message_id IS DISTINCT FROM owed.message_id
RETURNING old.message_id AS before, new.message_id AS after, orders.contact_id
