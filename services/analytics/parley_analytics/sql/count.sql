-- Facts of a batch: what is told merges into what is known. Earlier times win, of what changes (held, price) later ones. Tables are written in order of their
-- keys, so that two replicas wait for each other instead of locking each other out. `differences.sql` goes on.
WITH named AS (
    INSERT INTO cells (cell_id, tenant, campaign, channel, variant, purpose, language, flow, step)
    SELECT * FROM json_to_recordset($1::json) AS told (cell_id uuid, tenant text, campaign text, channel text, variant text, purpose text, language text,
        flow text, step text)
    ORDER BY cell_id ON CONFLICT DO NOTHING
), changed AS (
    INSERT INTO messages AS m (message_id, contact_id, cell_id, sent_at, delivered_at, read_at, opened_at, clicked_at, opened_machine_at,
        clicked_machine_at, failed_at, unknown_at, suppressed_at, expired_at, held_at, complained_at, unsubscribed_at, bounced_at,
        failed_reason, unknown_reason, suppressed_reason, expired_reason, held_reason, segments, priced_at, price, currency, orders, replies, opt_outs)
    SELECT * FROM json_to_recordset($2::json) AS told (message_id uuid, contact_id uuid, cell_id uuid, sent_at timestamptz, delivered_at timestamptz,
        read_at timestamptz, opened_at timestamptz, clicked_at timestamptz, opened_machine_at timestamptz, clicked_machine_at timestamptz,
        failed_at timestamptz, unknown_at timestamptz, suppressed_at timestamptz, expired_at timestamptz, held_at timestamptz, complained_at timestamptz,
        unsubscribed_at timestamptz, bounced_at timestamptz, failed_reason text, unknown_reason text, suppressed_reason text, expired_reason text,
        held_reason text, segments integer, priced_at timestamptz, price numeric, currency text, orders integer, replies integer, opt_outs integer)
    ORDER BY message_id
    ON CONFLICT (message_id) DO UPDATE SET
        cell_id = COALESCE(m.cell_id, excluded.cell_id),
        sent_at = LEAST(m.sent_at, excluded.sent_at),
        delivered_at = LEAST(m.delivered_at, excluded.delivered_at),
        read_at = LEAST(m.read_at, excluded.read_at),
        opened_at = LEAST(m.opened_at, excluded.opened_at),
        clicked_at = LEAST(m.clicked_at, excluded.clicked_at),
        opened_machine_at = LEAST(m.opened_machine_at, excluded.opened_machine_at),
        clicked_machine_at = LEAST(m.clicked_machine_at, excluded.clicked_machine_at),
        failed_at = LEAST(m.failed_at, excluded.failed_at),
        unknown_at = LEAST(m.unknown_at, excluded.unknown_at),
        suppressed_at = LEAST(m.suppressed_at, excluded.suppressed_at),
        expired_at = LEAST(m.expired_at, excluded.expired_at),
        held_at = GREATEST(m.held_at, excluded.held_at),
        complained_at = LEAST(m.complained_at, excluded.complained_at),
        unsubscribed_at = LEAST(m.unsubscribed_at, excluded.unsubscribed_at),
        bounced_at = LEAST(m.bounced_at, excluded.bounced_at),
        failed_reason = CASE WHEN excluded.failed_at IS NULL OR (m.failed_at, m.failed_reason) <= (excluded.failed_at, excluded.failed_reason)
            THEN m.failed_reason ELSE excluded.failed_reason END,
        unknown_reason = CASE WHEN excluded.unknown_at IS NULL OR (m.unknown_at, m.unknown_reason) <= (excluded.unknown_at, excluded.unknown_reason)
            THEN m.unknown_reason ELSE excluded.unknown_reason END,
        suppressed_reason = CASE WHEN excluded.suppressed_at IS NULL
            OR (m.suppressed_at, m.suppressed_reason) <= (excluded.suppressed_at, excluded.suppressed_reason)
            THEN m.suppressed_reason ELSE excluded.suppressed_reason END,
        expired_reason = CASE WHEN excluded.expired_at IS NULL OR (m.expired_at, m.expired_reason) <= (excluded.expired_at, excluded.expired_reason)
            THEN m.expired_reason ELSE excluded.expired_reason END,
        held_reason = CASE WHEN excluded.held_at IS NULL OR (m.held_at, m.held_reason) >= (excluded.held_at, excluded.held_reason)
            THEN m.held_reason ELSE excluded.held_reason END,
        segments = GREATEST(m.segments, excluded.segments),
        priced_at = GREATEST(m.priced_at, excluded.priced_at),
        price = CASE WHEN excluded.priced_at IS NULL OR (m.priced_at, m.price, m.currency) >= (excluded.priced_at, excluded.price, excluded.currency)
            THEN m.price ELSE excluded.price END,
        currency = CASE WHEN excluded.priced_at IS NULL OR (m.priced_at, m.price, m.currency) >= (excluded.priced_at, excluded.price, excluded.currency)
            THEN m.currency ELSE excluded.currency END,
        orders = m.orders + excluded.orders,
        replies = m.replies + excluded.replies,
        opt_outs = m.opt_outs + excluded.opt_outs
    -- A repeat changes nothing and must write nothing. `<` is null where the old fact is missing, COALESCE makes that "new".
    WHERE (m.cell_id IS NULL AND excluded.cell_id IS NOT NULL) OR excluded.orders <> 0 OR excluded.replies <> 0 OR excluded.opt_outs <> 0
        OR excluded.segments > m.segments
        OR (excluded.sent_at IS NOT NULL AND COALESCE(excluded.sent_at < m.sent_at, true))
        OR (excluded.delivered_at IS NOT NULL AND COALESCE(excluded.delivered_at < m.delivered_at, true))
        OR (excluded.read_at IS NOT NULL AND COALESCE(excluded.read_at < m.read_at, true))
        OR (excluded.opened_at IS NOT NULL AND COALESCE(excluded.opened_at < m.opened_at, true))
        OR (excluded.clicked_at IS NOT NULL AND COALESCE(excluded.clicked_at < m.clicked_at, true))
        OR (excluded.opened_machine_at IS NOT NULL AND COALESCE(excluded.opened_machine_at < m.opened_machine_at, true))
        OR (excluded.clicked_machine_at IS NOT NULL AND COALESCE(excluded.clicked_machine_at < m.clicked_machine_at, true))
        OR (excluded.failed_at IS NOT NULL AND COALESCE((excluded.failed_at, excluded.failed_reason) < (m.failed_at, m.failed_reason), true))
        OR (excluded.unknown_at IS NOT NULL AND COALESCE((excluded.unknown_at, excluded.unknown_reason) < (m.unknown_at, m.unknown_reason), true))
        OR (excluded.suppressed_at IS NOT NULL
            AND COALESCE((excluded.suppressed_at, excluded.suppressed_reason) < (m.suppressed_at, m.suppressed_reason), true))
        OR (excluded.expired_at IS NOT NULL AND COALESCE((excluded.expired_at, excluded.expired_reason) < (m.expired_at, m.expired_reason), true))
        OR (excluded.held_at IS NOT NULL AND COALESCE((excluded.held_at, excluded.held_reason) > (m.held_at, m.held_reason), true))
        OR (excluded.complained_at IS NOT NULL AND COALESCE(excluded.complained_at < m.complained_at, true))
        OR (excluded.unsubscribed_at IS NOT NULL AND COALESCE(excluded.unsubscribed_at < m.unsubscribed_at, true))
        OR (excluded.bounced_at IS NOT NULL AND COALESCE(excluded.bounced_at < m.bounced_at, true))
        OR (excluded.priced_at IS NOT NULL
            AND COALESCE((excluded.priced_at, excluded.price, excluded.currency) > (m.priced_at, m.price, m.currency), true))
