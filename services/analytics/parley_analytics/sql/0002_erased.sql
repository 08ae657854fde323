-- Which id stands for somebody who was erased, or for an order of theirs, by a keyed hash: until nothing of them can come late any more.
CREATE TABLE erased (
    hashed bytea       PRIMARY KEY,
    other  uuid        NOT NULL,
    at     timestamptz NOT NULL
);

-- An order of somebody erased: no other telling of the same moment takes it over, for that hung on the ids of contacts, which are gone.
ALTER TABLE orders ADD COLUMN erased boolean NOT NULL DEFAULT false;

-- Everything that one person was sent, for erasing it. People are found by the cells of these messages, clicks and orders by indexes of their own.
CREATE INDEX messages_of_contact ON messages (contact_id);
