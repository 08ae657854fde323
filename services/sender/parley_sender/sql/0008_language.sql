-- The language in which a message is said, told with everything that becomes of it: rates by language.
ALTER TABLE deliveries ADD COLUMN language text;
