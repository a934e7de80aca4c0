-- +goose Up

-- Messages that are to become another person's, behind a change of the graph
-- that has happened. Where they are very many they are moved in steps, each a
-- short transaction, so that nobody waits for all of them. Whoever makes the
-- change goes on with it; should they die, the janitor does. Meanwhile readers
-- look under both persons where the one is no more (person_names), and people
-- make no other change of the tenant's graph (graph_lock). Evidence may: it never
-- moves an account that is not alone, or that somebody placed.
CREATE TABLE message_moves (
    id           uuid PRIMARY KEY,
    tenant_id    text NOT NULL,
    identity_ids uuid[] NOT NULL,                  -- whose messages
    chat_ids     uuid[] NOT NULL,                  -- where they may be
    from_person  uuid NOT NULL,
    to_person    uuid NOT NULL,
    at           timestamptz NOT NULL DEFAULT 'infinity', -- how far it has come, from the newest on
    at_id        uuid NOT NULL DEFAULT 'ffffffff-ffff-ffff-ffff-ffffffffffff'
);
CREATE INDEX message_moves_tenant ON message_moves (tenant_id);
CREATE INDEX message_moves_to     ON message_moves (to_person);

-- The ids under which messages of a person may be found: their own, and those of
-- persons that have become them and whose messages are still to follow.
-- +goose StatementBegin
CREATE FUNCTION person_names(p_person uuid) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN p_person || ARRAY(SELECT v.from_person FROM message_moves v
                             WHERE v.to_person = p_person AND NOT EXISTS (SELECT FROM persons p WHERE p.id = v.from_person));
END $$;
-- +goose StatementEnd

-- Moves some of what is to be moved of a tenant (NULL: of any); false where
-- nothing is. What others have locked is left for the last step, which holds the
-- chats: whoever writes a message for another one's sender holds its chat, so
-- none is written under the former person afterwards.
-- +goose StatementBegin
CREATE FUNCTION messages_move(p_tenant text, p_limit int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v    message_moves;
    own  uuid[];
    last record;
BEGIN
    PERFORM graph_patience();
    SELECT * INTO v FROM message_moves WHERE p_tenant IS NULL OR tenant_id = p_tenant ORDER BY id LIMIT 1 FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    own := ARRAY(SELECT c.id FROM chats c WHERE c.id = ANY (v.chat_ids) AND c.identity_id = ANY (v.identity_ids));
    WITH ahead AS MATERIALIZED (
        SELECT m.id, m.created_at FROM messages m
        WHERE m.person_id = v.from_person AND (m.created_at, m.id) < (v.at, v.at_id)
        ORDER BY m.created_at DESC, m.id DESC LIMIT p_limit
    ), free AS MATERIALIZED (
        SELECT m.id FROM ahead JOIN messages m ON m.id = ahead.id
        WHERE m.identity_id = ANY (v.identity_ids) OR m.identity_id IS NULL AND m.chat_id = ANY (own)
        FOR NO KEY UPDATE OF m SKIP LOCKED
    ), moved AS (
        UPDATE messages m SET person_id = v.to_person FROM free WHERE m.id = free.id
    )
    SELECT count(*) AS seen, (array_agg(created_at ORDER BY created_at, id))[1] AS at, (array_agg(id ORDER BY created_at, id))[1] AS at_id
    INTO last FROM ahead;
    IF last.seen = p_limit THEN
        UPDATE message_moves SET at = last.at, at_id = last.at_id WHERE id = v.id;
        RETURN true;
    END IF;
    PERFORM FROM chats WHERE id = ANY (v.chat_ids) ORDER BY id FOR NO KEY UPDATE;
    UPDATE messages m SET person_id = v.to_person
    WHERE m.person_id = v.from_person
      AND (m.identity_id = ANY (v.identity_ids) OR m.identity_id IS NULL AND m.chat_id = ANY (own));
    DELETE FROM message_moves WHERE id = v.id;
    RETURN true;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION messages_move(text, int), person_names(uuid);
DROP TABLE message_moves;
