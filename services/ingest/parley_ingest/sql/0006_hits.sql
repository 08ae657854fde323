-- What a link is for, and whom an unsubscription takes off what.
ALTER TABLE links ADD COLUMN kind text NOT NULL DEFAULT 'link', ADD COLUMN account text, ADD COLUMN channel text, ADD COLUMN address text;

-- Requests for links and pixels, until they are judged and for an hour behind: what came around a hit says what it was. `asked_at`: when its message
-- was last put on the bus as due.
CREATE TABLE hits (
    id         uuid        PRIMARY KEY,
    tenant     text        NOT NULL,
    contact_id uuid        NOT NULL,
    message_id uuid        NOT NULL,
    code       text        NOT NULL,
    kind       text        NOT NULL,
    method     text        NOT NULL,
    agent      text        NOT NULL,
    ahead      boolean     NOT NULL,
    language   boolean     NOT NULL,
    client     text,
    at         timestamptz NOT NULL,
    settled    boolean     NOT NULL DEFAULT false,
    asked_at   timestamptz
);
CREATE INDEX hits_open ON hits (at) WHERE NOT settled;
CREATE INDEX hits_of_message ON hits (message_id, at);
CREATE INDEX hits_of_client ON hits (client, at) WHERE client IS NOT NULL;
CREATE INDEX hits_by_age ON hits (at) WHERE settled;

-- When e-mails with tracked links were handed to the provider, and by it to the mailbox; for a day.
CREATE TABLE handed (
    message_id uuid        NOT NULL,
    status     text        NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (message_id, status)
);
CREATE INDEX handed_by_age ON handed (at);
