-- Why a message leaves through its account, for its story.
ALTER TABLE deliveries ADD COLUMN route jsonb;

-- What may still have to be told over another channel: the request as it came, with addresses and text, so it goes with its person; and as soon as the
-- message has arrived, or is told elsewhere.
CREATE TABLE fallbacks (
    message_id uuid        PRIMARY KEY,
    contact_id uuid        NOT NULL,
    request    jsonb       NOT NULL,
    look_at    timestamptz                          -- when it is to be decided; NULL: nothing of it has happened yet
) WITH (fillfactor = 80);
CREATE INDEX fallbacks_due ON fallbacks (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX fallbacks_of_contact ON fallbacks (contact_id);

-- When to look: whoever moves such a message (a call, a receipt, the gate, a person) need not know of it. What to do is decided by the worker.
CREATE FUNCTION look_at_fallback() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE fallbacks SET look_at = CASE
            WHEN new.status IN ('sent', 'unknown') THEN coalesce(new.called_at, new.changed_at) + make_interval(secs => new.fallback_after)
            WHEN new.status <> 'queued' THEN new.changed_at
            WHEN new.reason = 'window_closed' THEN new.changed_at + make_interval(secs => new.fallback_after)
        END
    WHERE message_id = new.message_id;
    RETURN NULL;
END $$;
CREATE TRIGGER deliveries_fall_back AFTER UPDATE OF status, reason ON deliveries FOR EACH ROW
    WHEN (new.fallback_after IS NOT NULL AND (old.status, old.reason) IS DISTINCT FROM (new.status, new.reason)) EXECUTE FUNCTION look_at_fallback();

-- What waits for another try after a failure: it need not wait where another account may take it.
CREATE INDEX queue_failed ON queue (line) WHERE state = 'timed' AND failures > 0;
