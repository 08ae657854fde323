-- Puts other ids in the place of these contacts and of their orders, in every fact. All parts see the tables as they were; no counter changes.
WITH gone AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS given (contact_id, other)
), sent AS (
    UPDATE messages SET contact_id = gone.other FROM gone WHERE messages.contact_id = gone.contact_id
), held AS (
    SELECT DISTINCT messages.cell_id, gone.contact_id, gone.other FROM messages JOIN gone USING (contact_id)
), reached AS (
    UPDATE people SET contact_id = held.other FROM held WHERE people.cell_id = held.cell_id AND people.contact_id = held.contact_id
), spent AS (
    UPDATE spenders SET contact_id = held.other FROM held WHERE spenders.cell_id = held.cell_id AND spenders.contact_id = held.contact_id
), hit AS (
    UPDATE hits SET contact_id = gone.other FROM gone WHERE hits.contact_id = gone.contact_id
), wrote AS (
    UPDATE replies SET contact_id = gone.other FROM gone WHERE replies.contact_id = gone.contact_id
), refused AS (
    UPDATE opt_outs SET contact_id = gone.other FROM gone WHERE opt_outs.contact_id = gone.contact_id
), drew AS (
    UPDATE drawn SET contact_id = gone.other FROM gone WHERE drawn.contact_id = gone.contact_id
)
UPDATE orders SET contact_id = gone.other, order_id = numbered.other, erased = true
FROM gone, unnest($3::text[], $4::text[], $5::text[], $6::text[]) AS numbered (tenant, goal, order_id, other)
WHERE orders.contact_id = gone.contact_id AND orders.tenant = numbered.tenant AND orders.goal = numbered.goal AND orders.order_id = numbered.order_id
