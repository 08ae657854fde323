-- One state per contact, written by the keyed stage: a statement a batch.
-- `status` and `reference` (the conversation) stand beside the state so that most updates touch no index (HOT).
CREATE TABLE contacts (
    key        uuid        PRIMARY KEY,
    tenant     text        NOT NULL,
    status     text        NOT NULL,
    reference  uuid,
    state      jsonb       NOT NULL,
    positions  bytea       NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE INDEX contacts_waiting ON contacts (tenant, reference) WHERE status = 'waiting';
CREATE INDEX contacts_by_conversation ON contacts (reference) WHERE reference IS NOT NULL;
