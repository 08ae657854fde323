-- Puts other ids in the place of these contacts and of their orders, in every fact. All parts see the tables as they were; no counter changes.
WITH gone AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS given (contact_id, other)
), sent AS (
    UPDATE messages SET contact_id = gone.other FROM gone WHERE messages.contact_id = gone.contact_id
), reached AS (
    UPDATE people SET contact_id = held.other
    FROM (SELECT DISTINCT messages.cell_id, gone.contact_id, gone.other FROM messages JOIN gone USING (contact_id)) AS held
    WHERE people.cell_id = held.cell_id AND people.contact_id = held.contact_id
), clicked AS (
    UPDATE clicks SET contact_id = gone.other FROM gone WHERE clicks.contact_id = gone.contact_id
)
UPDATE orders SET contact_id = gone.other, order_id = numbered.other, erased = true
FROM gone, unnest($3::text[], $4::text[], $5::text[]) AS numbered (tenant, order_id, other)
WHERE orders.contact_id = gone.contact_id AND orders.tenant = numbered.tenant AND orders.order_id = numbered.order_id
