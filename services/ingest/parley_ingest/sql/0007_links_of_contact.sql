-- Whoever is erased takes the links of their messages along.
CREATE INDEX links_of_contact ON links (contact_id);
