-- When a message was called back that was being called for at that time: the gate lets it go no more, whatever comes of the call.
ALTER TABLE deliveries ADD COLUMN called_back_at timestamptz;
