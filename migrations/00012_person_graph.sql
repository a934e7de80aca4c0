-- +goose Up

-- Who is who. The one fact is identities.person_id: whose an account is. The
-- person of a message or of a chat is that of its account, and moves with it.
-- So a change of the graph moves accounts and what hangs on them, and undoing
-- it moves the same accounts back, with all that came since.
--
-- Locks are taken in this order: the tenant's graph (calls of people only),
-- evidence by hash, accounts by id, chats by id, persons. Whoever changes the
-- graph waits for a lock a third of a second at most and then begins again:
-- recording and answering never wait for a deadlock to be found.

-- What a channel verified of an account: one phone number (E.164) and one
-- e-mail address (small letters) at a time. Only what can be compared.
CREATE TABLE identity_evidence (
    identity_id uuid NOT NULL,
    kind        text NOT NULL,                     -- phone email
    tenant_id   text NOT NULL,
    value       text NOT NULL,
    seen_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (identity_id, kind)
);
CREATE INDEX identity_evidence_value ON identity_evidence (tenant_id, kind, value);

-- Every change of the graph, made by people or by evidence; each can be undone.
CREATE TABLE merges (
    id               uuid PRIMARY KEY,
    seq              bigint GENERATED ALWAYS AS IDENTITY,
    tenant_id        text NOT NULL,
    kind             text NOT NULL,                -- merge link unlink
    source_person_id uuid NOT NULL,
    target_person_id uuid NOT NULL,
    identity_ids     uuid[] NOT NULL,              -- what moved
    automatic        boolean NOT NULL,
    made_by          text NOT NULL,
    reason           text NOT NULL,
    evidence         jsonb NOT NULL DEFAULT '[]',  -- [{reason, value, identityIds}]
    confidence       double precision NOT NULL,    -- 0 to 1
    suggestion_id    uuid,                         -- that was confirmed
    absorbed         jsonb,                        -- the source's row, where nothing was left of it
    created          boolean NOT NULL DEFAULT false, -- the target was made for this
    owned            jsonb NOT NULL DEFAULT '{}',  -- the source's rules and routes that came along: ids by table
    fields           jsonb NOT NULL DEFAULT '{}',  -- what became of persons' fields: {person: {before, after}}
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    undone_at        timestamptz,
    undone_by        text NOT NULL DEFAULT ''
);
CREATE INDEX merges_recent   ON merges (tenant_id, created_at DESC, id DESC);
CREATE INDEX merges_absorbed ON merges (target_person_id) WHERE undone_at IS NULL AND absorbed IS NOT NULL;
CREATE INDEX merges_source   ON merges (source_person_id);
CREATE INDEX merges_accounts ON merges USING gin (identity_ids);

-- Two accounts that may be one person's. Whose they are is looked up, so a
-- suggestion follows every merge; a pair that somebody dismissed stays so.
CREATE TABLE person_suggestions (
    id          uuid PRIMARY KEY,
    tenant_id   text NOT NULL,
    identity_a  uuid NOT NULL,
    identity_b  uuid NOT NULL,                     -- the greater one
    reasons     jsonb NOT NULL,                    -- [{reason, value, confidence}]
    confidence  double precision NOT NULL,
    status      text NOT NULL DEFAULT 'open',      -- open confirmed dismissed
    merge_id    uuid,
    decided_by  text NOT NULL DEFAULT '',
    decided_at  timestamptz,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (identity_a, identity_b)
);
CREATE INDEX person_suggestions_other  ON person_suggestions (identity_b);
CREATE INDEX person_suggestions_merge  ON person_suggestions (merge_id) WHERE merge_id IS NOT NULL;
CREATE INDEX person_suggestions_recent ON person_suggestions (tenant_id, created_at DESC, id DESC);

-- Up to where the accounts have been looked at for suggestions.
CREATE TABLE suggestion_cursor (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    at  timestamptz NOT NULL,
    id  uuid NOT NULL
);
-- (Next to nothing to write: rows lie in the order in which they came.)
CREATE INDEX identities_first_seen ON identities USING brin (first_seen_at) WITH (pages_per_range = 16);
CREATE INDEX identities_username   ON identities (tenant_id, lower(username)) WHERE username <> '';
CREATE INDEX identities_name       ON identities (tenant_id, lower(name)) WHERE name <> '';
-- What hangs on a person.
CREATE INDEX messages_person ON messages (person_id, created_at DESC, id DESC) WHERE person_id IS NOT NULL;
-- Events that no message began: the others are found by their message.
CREATE INDEX events_person ON events (person_id) WHERE correlation_id IS NULL;

-- Whoever changes the graph gives way: see above.
-- +goose StatementBegin
CREATE FUNCTION graph_patience() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('lock_timeout', '300ms', true);
END $$;
-- +goose StatementEnd

-- People change one tenant's graph one after the other.
-- +goose StatementBegin
CREATE FUNCTION graph_lock(p_tenant text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM graph_patience();
    PERFORM pg_advisory_xact_lock(hashtextextended('persons/' || p_tenant, 0));
    IF EXISTS (SELECT FROM message_moves WHERE tenant_id = p_tenant) THEN
        RAISE lock_not_available USING MESSAGE = 'the messages of an earlier change are still being moved';
    END IF;
END $$;
-- +goose StatementEnd

-- An event about an account.
-- +goose StatementBegin
CREATE FUNCTION graph_say(p_type text, p_subject text, p_identity uuid, p_person uuid, p_cause jsonb, p_data jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    i identities;
BEGIN
    SELECT * INTO i FROM identities WHERE id = p_identity;
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, traceparent, data)
    VALUES (uuid_v7(), coalesce(i.tenant_id, p_cause ->> 'tenant_id'), p_type, p_subject,
            coalesce(i.instance_id, '00000000-0000-0000-0000-000000000000'), coalesce(i.channel, 'none'),
            (p_cause ->> 'chat_id')::uuid, p_person, (p_cause ->> 'message_id')::uuid, coalesce(p_cause ->> 'traceparent', ''), p_data);
END $$;
-- +goose StatementEnd

-- The name of a person's agent session: see session_now.
-- +goose StatementBegin
CREATE FUNCTION person_session(p_person uuid) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN 'person:' || p_person || coalesce((SELECT '#' || session_epoch FROM persons WHERE id = p_person AND session_epoch > 0), '');
END $$;
-- +goose StatementEnd

-- What hangs on accounts that have become another person's: messages, the chats
-- with them, and what the agent remembers of them. The accounts are locked, and
-- both persons are there. A turn that collects goes on collecting under its new
-- session; one that is being answered is answered.
-- +goose StatementBegin
CREATE FUNCTION accounts_moved(p_ids uuid[], p_from uuid, p_to uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    mine     uuid[];
    sessions text[];
    at_once  int := coalesce(nullif(current_setting('omni.move_at_once', true), '')::int, 2000);
BEGIN
    mine := ARRAY(SELECT DISTINCT m.chat_id FROM messages m WHERE m.person_id = p_from);
    PERFORM FROM chats WHERE id = ANY (mine) ORDER BY id FOR NO KEY UPDATE;
    IF (SELECT count(*) FROM (SELECT FROM messages m WHERE m.person_id = p_from LIMIT at_once + 1) x) > at_once THEN
        INSERT INTO message_moves (id, tenant_id, identity_ids, chat_ids, from_person, to_person) -- see messages_move
        SELECT uuid_v7(), i.tenant_id, p_ids, mine, p_from, p_to FROM identities i WHERE i.id = p_ids[1];
    ELSE
        UPDATE messages m SET person_id = p_to
        WHERE m.person_id = p_from
          AND (m.identity_id = ANY (p_ids)
               OR m.identity_id IS NULL AND m.chat_id = ANY (ARRAY(SELECT c.id FROM chats c WHERE c.id = ANY (mine) AND c.identity_id = ANY (p_ids))));
    END IF;
    UPDATE chats SET person_id = p_to WHERE id = ANY (mine) AND identity_id = ANY (p_ids);
    sessions := ARRAY(SELECT 'chat:' || c.id || '/person:' || p_from || CASE WHEN c.session_epoch > 0 THEN '#' || c.session_epoch ELSE '' END
                      FROM chats c WHERE c.id = ANY (mine));
    UPDATE turns t SET session_key = CASE WHEN starts_with(t.session_key, 'person:') THEN person_session(p_to)
                                          ELSE replace(t.session_key, 'person:' || p_from, 'person:' || p_to) END
    FROM messages m
    WHERE t.session_key = ANY (person_session(p_from) || sessions) AND t.session_key LIKE '%person:%'
      AND m.id = t.leader AND m.identity_id = ANY (p_ids)
      -- Both were collecting in one chat: each answers what it has.
      AND NOT (t.state = 'collecting' AND EXISTS (
          SELECT FROM turns o WHERE o.chat_id = t.chat_id AND o.agent = t.agent AND o.state = 'collecting' AND o.id <> t.id
            AND o.session_key = CASE WHEN starts_with(t.session_key, 'person:') THEN person_session(p_to)
                                     ELSE replace(t.session_key, 'person:' || p_from, 'person:' || p_to) END));
END $$;
-- +goose StatementEnd

-- Moves what is a person's and not an account's: rules and routes, by table.
-- p_only: those of a change that is undone; NULL: all. Returns what moved.
-- +goose StatementBegin
CREATE FUNCTION person_owned_moved(p_from uuid, p_to uuid, p_only jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    name  text;
    ids   uuid[];
    moved jsonb := '{}';
BEGIN
    FOREACH name IN ARRAY ARRAY['access_rules', 'agent_routes'] LOOP
        CONTINUE WHEN NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(name) AND attname = 'person_id');
        EXECUTE format('WITH m AS (UPDATE %I SET person_id = $2 WHERE person_id = $1 AND ($3 IS NULL OR id = ANY ($3)) RETURNING id)
                        SELECT array_agg(id) FROM m', name)
        INTO ids USING p_from, p_to, CASE WHEN p_only IS NOT NULL THEN
            ARRAY(SELECT jsonb_array_elements_text(coalesce(p_only -> name, '[]'))::uuid) END;
        IF ids IS NOT NULL THEN
            moved := moved || jsonb_build_object(name, ids);
        END IF;
    END LOOP;
    RETURN moved;
END $$;
-- +goose StatementEnd

-- The fields of a person that accounts give it.
-- +goose StatementBegin
CREATE FUNCTION person_fields(p_person uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT jsonb_build_object('display_name', display_name, 'phone', phone, 'email', email) FROM persons WHERE id = p_person);
END $$;
-- +goose StatementEnd

-- After accounts have left a person, or come to one: a number or address that
-- only they had leaves with them, and what the person had none of is taken over
-- from the accounts (after p_hint, which a person who is gone left). Returns
-- {person: {before, after}}.
-- +goose StatementBegin
CREATE FUNCTION person_refreshed(p_person uuid, p_left uuid[], p_hint jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    was jsonb := person_fields(p_person);
BEGIN
    UPDATE persons p SET
        phone = CASE WHEN EXISTS (SELECT FROM identities i WHERE i.id = ANY (p_left) AND i.phone = p.phone)
                      AND NOT EXISTS (SELECT FROM identities i WHERE i.person_id = p.id AND i.phone = p.phone) THEN '' ELSE p.phone END,
        email = CASE WHEN EXISTS (SELECT FROM identities i WHERE i.id = ANY (p_left) AND i.email = p.email)
                      AND NOT EXISTS (SELECT FROM identities i WHERE i.person_id = p.id AND i.email = p.email) THEN '' ELSE p.email END
    WHERE p.id = p_person AND p_left IS NOT NULL;
    UPDATE persons p SET
        display_name = coalesce(nullif(p.display_name, ''), nullif(p_hint ->> 'display_name', ''), (SELECT i.name FROM identities i
            WHERE i.person_id = p.id AND i.name <> '' ORDER BY i.first_seen_at, i.id LIMIT 1), ''),
        phone = coalesce(nullif(p.phone, ''), nullif(p_hint ->> 'phone', ''), (SELECT i.phone FROM identities i
            WHERE i.person_id = p.id AND i.phone <> '' ORDER BY i.first_seen_at, i.id LIMIT 1), ''),
        email = coalesce(nullif(p.email, ''), nullif(p_hint ->> 'email', ''), (SELECT i.email FROM identities i
            WHERE i.person_id = p.id AND i.email <> '' ORDER BY i.first_seen_at, i.id LIMIT 1), ''),
        updated_at = clock_timestamp()
    WHERE p.id = p_person;
    RETURN jsonb_build_object(p_person::text, jsonb_build_object('before', was, 'after', person_fields(p_person)));
END $$;
-- +goose StatementEnd

-- What every change of the graph does once accounts have moved from one person
-- to another; both are there still. Fills in c and writes it down: c has id,
-- tenant_id, kind, source and target, identity_ids and why. p_cause has what
-- the event is to say of the message that brought the evidence.
-- +goose StatementBegin
CREATE FUNCTION graph_change(c merges, p_cause jsonb) RETURNS merges LANGUAGE plpgsql AS $$
DECLARE
    hint jsonb;
BEGIN
    c.owned := '{}'; c.fields := '{}'; c.created := coalesce(c.created, false); c.evidence := coalesce(c.evidence, '[]');
    PERFORM accounts_moved(c.identity_ids, c.source_person_id, c.target_person_id);
    IF c.kind = 'merge' OR NOT EXISTS (SELECT FROM identities WHERE person_id = c.source_person_id) THEN
        c.owned := person_owned_moved(c.source_person_id, c.target_person_id, NULL);
        hint := person_fields(c.source_person_id);
        DELETE FROM persons p WHERE id = c.source_person_id RETURNING to_jsonb(p) INTO c.absorbed;
    ELSE
        c.fields := person_refreshed(c.source_person_id, c.identity_ids, NULL);
    END IF;
    c.fields := c.fields || person_refreshed(c.target_person_id, NULL, hint);
    INSERT INTO merges (id, tenant_id, kind, source_person_id, target_person_id, identity_ids, automatic, made_by, reason, evidence,
                        confidence, suggestion_id, absorbed, created, owned, fields)
    VALUES (c.id, c.tenant_id, c.kind, c.source_person_id, c.target_person_id, c.identity_ids, c.automatic, c.made_by, c.reason, c.evidence,
            c.confidence, c.suggestion_id, c.absorbed, c.created, c.owned, c.fields);
    PERFORM graph_say('identity.' || CASE c.kind WHEN 'merge' THEN 'merged' ELSE c.kind || 'ed' END, c.target_person_id::text,
        c.identity_ids[1], c.target_person_id, p_cause || jsonb_build_object('tenant_id', c.tenant_id),
        jsonb_build_object('mergeId', c.id, 'personId', c.target_person_id, 'sourcePersonId', c.source_person_id,
            'targetPersonId', c.target_person_id, 'identityIds', c.identity_ids, 'identityId', c.identity_ids[1],
            'automatic', c.automatic, 'by', c.made_by, 'reason', c.reason, 'evidence', c.evidence, 'confidence', c.confidence));
    RETURN c;
END $$;
-- +goose StatementEnd

-- Two accounts may be one person's: says so, once for each pair of persons,
-- whatever accounts of theirs it is found by.
-- +goose StatementBegin
CREATE FUNCTION suggestion_add(p_one uuid, p_other uuid, p_reason text, p_value text, p_confidence float8, p_cause jsonb) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    a identities;
    b identities;
    s person_suggestions;
    why jsonb := jsonb_build_array(jsonb_build_object('reason', p_reason, 'value', p_value, 'confidence', p_confidence));
BEGIN
    SELECT * INTO a FROM identities WHERE id = least(p_one, p_other);
    SELECT * INTO b FROM identities WHERE id = greatest(p_one, p_other);
    IF a.person_id = b.person_id OR a.tenant_id <> b.tenant_id THEN
        RETURN false;
    END IF;
    SELECT o.* INTO s FROM person_suggestions o JOIN identities x ON x.id = o.identity_a JOIN identities y ON y.id = o.identity_b
    WHERE o.identity_a = ANY (ARRAY(SELECT id FROM identities WHERE person_id IN (a.person_id, b.person_id)))
      AND x.person_id <> y.person_id AND y.person_id IN (a.person_id, b.person_id)
    ORDER BY o.status = 'open', o.created_at LIMIT 1;
    IF FOUND THEN
        IF s.status = 'open' AND NOT s.reasons @> jsonb_build_array(jsonb_build_object('reason', p_reason)) THEN
            UPDATE person_suggestions SET reasons = reasons || why, confidence = greatest(confidence, p_confidence) WHERE id = s.id;
        END IF;
        RETURN false;
    END IF;
    INSERT INTO person_suggestions (id, tenant_id, identity_a, identity_b, reasons, confidence)
    VALUES (uuid_v7(), a.tenant_id, a.id, b.id, why, p_confidence)
    ON CONFLICT (identity_a, identity_b) DO NOTHING RETURNING * INTO s;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM graph_say('identity.suggested', s.id::text, p_one, (SELECT person_id FROM identities WHERE id = p_one), p_cause,
        jsonb_build_object('suggestionId', s.id, 'personIds', jsonb_build_array(a.person_id, b.person_id),
            'identityIds', jsonb_build_array(a.id, b.id), 'reasons', why, 'confidence', p_confidence));
    RETURN true;
END $$;
-- +goose StatementEnd

-- Who a person is now: itself, or the one that it became.
-- +goose StatementBegin
CREATE FUNCTION person_now(p_person uuid) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
DECLARE
    became uuid;
BEGIN
    LOOP
        SELECT target_person_id INTO became FROM merges
        WHERE source_person_id = p_person AND absorbed IS NOT NULL AND undone_at IS NULL
          AND NOT EXISTS (SELECT FROM persons WHERE id = p_person) ORDER BY seq DESC LIMIT 1;
        IF NOT FOUND THEN
            RETURN p_person;
        END IF;
        p_person := became;
    END LOOP;
END $$;
-- +goose StatementEnd

-- The ids under which the log knows a person: see PersonAliases.
-- +goose StatementBegin
CREATE FUNCTION person_aliases(p_person uuid) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN ARRAY(WITH RECURSIVE a AS (
        SELECT person_now(p_person) AS id
        UNION
        SELECT m.source_person_id FROM merges m JOIN a ON m.target_person_id = a.id WHERE m.undone_at IS NULL AND m.absorbed IS NOT NULL
    ) SELECT id FROM a);
END $$;
-- +goose StatementEnd

-- What an answer about the graph is: state done not_found hidden same already
-- alone undone superseded settled.
CREATE TYPE graph_answer AS (state text, id uuid, person_id uuid, identity_id uuid);

-- Whether a key that is bound to instances (NULL: it is not) may touch a
-- person: NULL; not_found: it sees nothing of them; hidden: not all.
-- +goose StatementBegin
CREATE FUNCTION person_refused(p_tenant text, p_person uuid, p_within uuid[]) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM persons WHERE id = p_person AND tenant_id = p_tenant) THEN
        RETURN 'not_found';
    ELSIF p_within IS NULL THEN
        RETURN NULL;
    ELSIF NOT EXISTS (SELECT FROM identities WHERE person_id = p_person AND instance_id = ANY (p_within)) THEN
        RETURN 'not_found';
    ELSIF EXISTS (SELECT FROM identities WHERE person_id = p_person AND instance_id <> ALL (p_within)) THEN
        RETURN 'hidden';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- POST /persons/merge: everything of the source becomes the target's.
-- +goose StatementBegin
CREATE FUNCTION persons_merge(p_tenant text, p_within uuid[], p_source uuid, p_target uuid, p_by text, p_reason text, p_evidence jsonb,
    p_confidence float8, p_suggestion uuid) RETURNS graph_answer LANGUAGE plpgsql AS $$
DECLARE
    a   graph_answer;
    c   merges;
    ids uuid[];
BEGIN
    PERFORM graph_lock(p_tenant);
    a.state := coalesce(person_refused(p_tenant, p_source, p_within), person_refused(p_tenant, p_target, p_within));
    IF a.state IS NOT NULL THEN
        RETURN a;
    ELSIF p_source = p_target THEN
        a.state := 'same';
        RETURN a;
    END IF;
    PERFORM FROM identities WHERE person_id IN (p_source, p_target) ORDER BY id FOR NO KEY UPDATE;
    -- Evidence may have moved a lone account away while this waited.
    a.state := coalesce(person_refused(p_tenant, p_source, p_within), person_refused(p_tenant, p_target, p_within));
    IF a.state IS NOT NULL THEN
        RETURN a;
    END IF;
    c.identity_ids := '{}';
    LOOP -- accounts that were linked to the source meanwhile come along
        WITH moved AS (UPDATE identities SET person_id = p_target, pinned = true WHERE person_id = p_source RETURNING id)
        SELECT array_agg(id ORDER BY id) INTO ids FROM moved;
        EXIT WHEN ids IS NULL;
        c.identity_ids := c.identity_ids || ids;
    END LOOP;
    c.id := uuid_v7(); c.tenant_id := p_tenant; c.kind := 'merge'; c.source_person_id := p_source; c.target_person_id := p_target;
    c.automatic := false; c.made_by := p_by; c.reason := p_reason; c.evidence := p_evidence; c.confidence := p_confidence;
    c.suggestion_id := p_suggestion;
    c := graph_change(c, '{}');
    a.state := 'done'; a.id := c.id; a.person_id := p_target;
    RETURN a;
END $$;
-- +goose StatementEnd

-- POST /persons/link: an account becomes a person's.
-- +goose StatementBegin
CREATE FUNCTION identity_link(p_tenant text, p_within uuid[], p_identity uuid, p_person uuid, p_by text, p_reason text) RETURNS graph_answer
LANGUAGE plpgsql AS $$
DECLARE
    a graph_answer;
    i identities;
    c merges;
BEGIN
    PERFORM graph_lock(p_tenant);
    a.identity_id := p_identity; a.person_id := p_person;
    PERFORM FROM identities WHERE tenant_id = p_tenant AND (id = p_identity OR person_id = p_person) ORDER BY id FOR NO KEY UPDATE;
    SELECT * INTO i FROM identities WHERE id = p_identity AND tenant_id = p_tenant AND (p_within IS NULL OR instance_id = ANY (p_within));
    a.state := CASE WHEN i.id IS NULL THEN 'not_found' ELSE
        coalesce(person_refused(p_tenant, p_person, p_within), CASE WHEN i.person_id = p_person THEN 'already' END) END;
    IF a.state IS NOT NULL THEN
        RETURN a;
    END IF;
    c.id := uuid_v7(); c.tenant_id := p_tenant; c.kind := 'link'; c.source_person_id := i.person_id; c.target_person_id := p_person;
    c.identity_ids := ARRAY[i.id]; c.automatic := false; c.made_by := p_by; c.reason := p_reason; c.confidence := 1;
    UPDATE identities SET person_id = p_person, pinned = true WHERE id = i.id;
    c := graph_change(c, '{}');
    a.state := 'done'; a.id := c.id;
    RETURN a;
END $$;
-- +goose StatementEnd

-- POST /persons/unlink: an account gets a person of its own.
-- +goose StatementBegin
CREATE FUNCTION identity_unlink(p_tenant text, p_within uuid[], p_identity uuid, p_by text, p_reason text) RETURNS graph_answer
LANGUAGE plpgsql AS $$
DECLARE
    a graph_answer;
    i identities;
    c merges;
BEGIN
    PERFORM graph_lock(p_tenant);
    a.identity_id := p_identity;
    SELECT * INTO i FROM identities
    WHERE id = p_identity AND tenant_id = p_tenant AND (p_within IS NULL OR instance_id = ANY (p_within)) FOR NO KEY UPDATE;
    a.person_id := i.person_id;
    a.state := CASE WHEN i.id IS NULL THEN 'not_found'
                    WHEN NOT EXISTS (SELECT FROM identities WHERE person_id = i.person_id AND id <> i.id) THEN 'alone' END;
    IF a.state IS NOT NULL THEN
        RETURN a;
    END IF;
    INSERT INTO persons (id, tenant_id, display_name, phone, email) VALUES (uuid_v7(), p_tenant, i.name, i.phone, i.email)
    RETURNING id INTO a.person_id;
    c.id := uuid_v7(); c.tenant_id := p_tenant; c.kind := 'unlink'; c.source_person_id := i.person_id; c.target_person_id := a.person_id;
    c.identity_ids := ARRAY[i.id]; c.automatic := false; c.made_by := p_by; c.reason := p_reason; c.confidence := 1; c.created := true;
    UPDATE identities SET person_id = a.person_id, pinned = true WHERE id = i.id;
    c := graph_change(c, '{}');
    a.state := 'done'; a.id := c.id;
    RETURN a;
END $$;
-- +goose StatementEnd

-- Whether a change can be undone now: the id of the change to undo first, or
-- of none ('0…') where the persons it needs are gone for another reason; NULL:
-- it can. The accounts are locked.
-- +goose StatementBegin
CREATE FUNCTION merge_superseded(c merges) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM identities WHERE id = ANY (c.identity_ids) AND person_id <> c.target_person_id)
       AND EXISTS (SELECT FROM persons WHERE id = c.target_person_id)
       AND (c.absorbed IS NULL) = EXISTS (SELECT FROM persons WHERE id = c.source_person_id) THEN
        RETURN NULL;
    END IF;
    RETURN coalesce((SELECT m.id FROM merges m
        WHERE m.undone_at IS NULL AND m.seq > c.seq AND m.tenant_id = c.tenant_id
          AND (m.identity_ids && c.identity_ids OR m.source_person_id IN (c.source_person_id, c.target_person_id) AND m.absorbed IS NOT NULL)
        ORDER BY m.seq DESC LIMIT 1), '00000000-0000-0000-0000-000000000000');
END $$;
-- +goose StatementEnd

-- Puts a person's row back as it was.
-- +goose StatementBegin
CREATE FUNCTION person_restored(p_row jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    columns text := (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
                     WHERE attrelid = 'persons'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND p_row ? attname);
BEGIN
    EXECUTE format('INSERT INTO persons (%1$s) SELECT %1$s FROM jsonb_populate_record(NULL::persons, $1)', columns) USING p_row;
END $$;
-- +goose StatementEnd

-- POST /merges/{id}/undo: the accounts that moved go back, with all that has
-- come since; the persons are as they were.
-- +goose StatementBegin
CREATE FUNCTION merge_undo(p_tenant text, p_within uuid[], p_id uuid, p_by text) RETURNS graph_answer LANGUAGE plpgsql AS $$
DECLARE
    a graph_answer;
    c merges;
    f record;
BEGIN
    PERFORM graph_lock(p_tenant);
    SELECT * INTO c FROM merges WHERE id = p_id AND tenant_id = p_tenant;
    PERFORM FROM identities WHERE id = ANY (c.identity_ids) ORDER BY id FOR NO KEY UPDATE;
    a.id := merge_superseded(c); a.person_id := c.source_person_id; a.identity_id := c.identity_ids[1];
    a.state := CASE WHEN c.id IS NULL THEN 'not_found'
                    WHEN p_within IS NOT NULL AND (c.identity_ids = '{}' OR EXISTS (SELECT FROM identities
                        WHERE id = ANY (c.identity_ids) AND instance_id <> ALL (p_within))) THEN 'not_found'
                    WHEN c.undone_at IS NOT NULL THEN 'undone'
                    WHEN a.id IS NOT NULL THEN 'superseded' END;
    IF a.state IS NOT NULL THEN
        RETURN a;
    END IF;
    IF c.absorbed IS NOT NULL THEN
        PERFORM person_restored(c.absorbed);
    END IF;
    UPDATE identities SET person_id = c.source_person_id, pinned = true WHERE id = ANY (c.identity_ids);
    PERFORM accounts_moved(c.identity_ids, c.target_person_id, c.source_person_id);
    PERFORM person_owned_moved(c.target_person_id, c.source_person_id, c.owned);
    FOR f IN SELECT key::uuid AS person, value -> 'before' AS before, value -> 'after' AS after FROM jsonb_each(c.fields) LOOP
        UPDATE persons SET -- what somebody has changed since stays
            display_name = CASE WHEN display_name = f.after ->> 'display_name' THEN f.before ->> 'display_name' ELSE display_name END,
            phone = CASE WHEN phone = f.after ->> 'phone' THEN f.before ->> 'phone' ELSE phone END,
            email = CASE WHEN email = f.after ->> 'email' THEN f.before ->> 'email' ELSE email END,
            updated_at = clock_timestamp()
        WHERE id = f.person;
    END LOOP;
    IF c.created AND NOT EXISTS (SELECT FROM identities WHERE person_id = c.target_person_id) THEN
        PERFORM person_owned_moved(c.target_person_id, c.source_person_id, NULL);
        DELETE FROM persons WHERE id = c.target_person_id;
    END IF;
    UPDATE person_suggestions SET status = 'open', merge_id = NULL, decided_by = '', decided_at = NULL WHERE merge_id = c.id;
    UPDATE merges SET undone_at = clock_timestamp(), undone_by = p_by WHERE id = c.id;
    PERFORM graph_say('identity.merge_undone', c.id::text, c.identity_ids[1], c.source_person_id, jsonb_build_object('tenant_id', p_tenant),
        jsonb_build_object('mergeId', c.id, 'kind', c.kind, 'personId', c.source_person_id, 'sourcePersonId', c.source_person_id,
            'targetPersonId', c.target_person_id, 'identityIds', c.identity_ids, 'by', p_by));
    a.state := 'done'; a.id := c.id;
    RETURN a;
END $$;
-- +goose StatementEnd

-- POST /persons/suggestions/{id}/confirm: the younger person becomes the older one.
-- +goose StatementBegin
CREATE FUNCTION suggestion_confirm(p_tenant text, p_within uuid[], p_id uuid, p_by text, p_reason text) RETURNS graph_answer
LANGUAGE plpgsql AS $$
DECLARE
    a graph_answer;
    s person_suggestions;
    people uuid[];
BEGIN
    PERFORM graph_lock(p_tenant);
    SELECT * INTO s FROM person_suggestions WHERE id = p_id AND tenant_id = p_tenant FOR UPDATE;
    IF NOT FOUND THEN
        a.state := 'not_found';
        RETURN a;
    END IF;
    people := ARRAY(SELECT p.id FROM persons p
                    WHERE p.id IN (SELECT person_id FROM identities WHERE id IN (s.identity_a, s.identity_b)) ORDER BY p.created_at, p.id);
    IF s.status <> 'open' OR cardinality(people) < 2 THEN
        a.state := coalesce(person_refused(p_tenant, people[1], p_within), 'settled');
        RETURN a;
    END IF;
    a := persons_merge(p_tenant, p_within, people[2], people[1], p_by, p_reason, s.reasons, s.confidence, s.id);
    IF a.state = 'done' THEN
        UPDATE person_suggestions SET status = 'confirmed', merge_id = a.id, decided_by = p_by, decided_at = clock_timestamp() WHERE id = s.id;
    END IF;
    RETURN a;
END $$;
-- +goose StatementEnd

-- POST /persons/suggestions/{id}/dismiss: these two are not one, whatever else
-- says so.
-- +goose StatementBegin
CREATE FUNCTION suggestion_dismiss(p_tenant text, p_within uuid[], p_id uuid, p_by text) RETURNS graph_answer LANGUAGE plpgsql AS $$
DECLARE
    a graph_answer;
    s person_suggestions;
    people uuid[];
BEGIN
    PERFORM graph_lock(p_tenant);
    SELECT * INTO s FROM person_suggestions WHERE id = p_id AND tenant_id = p_tenant FOR UPDATE;
    people := ARRAY(SELECT DISTINCT person_id FROM identities WHERE id IN (s.identity_a, s.identity_b));
    a.state := CASE WHEN s.id IS NULL THEN 'not_found' ELSE
        coalesce(person_refused(p_tenant, people[1], p_within), person_refused(p_tenant, coalesce(people[2], people[1]), p_within),
                 CASE WHEN s.status <> 'open' THEN 'settled' END) END;
    IF a.state IS NOT NULL THEN
        RETURN a;
    END IF;
    UPDATE person_suggestions o SET status = 'dismissed', decided_by = p_by, decided_at = clock_timestamp()
    WHERE o.status = 'open'
      AND (o.id = p_id OR o.identity_a = ANY (ARRAY(SELECT id FROM identities WHERE person_id = ANY (people)))
                      AND o.identity_b = ANY (ARRAY(SELECT id FROM identities WHERE person_id = ANY (people))));
    a.state := 'done'; a.id := s.id;
    RETURN a;
END $$;
-- +goose StatementEnd

-- What a channel has verified of accounts, before their messages are recorded.
-- p is an array, one element for each account, with phone and email as they are
-- shown and phone_key and email_key where they can be compared. An account that
-- is new, or alone with its person and placed there by nobody, becomes that of
-- the one person who has shown the same; everything doubtful is suggested:
-- several such persons, a person with accounts of their own on either side,
-- another phone number, a decision of somebody. Returns the instances on which
-- agents' routes have become another person's with it.
-- +goose StatementBegin
CREATE FUNCTION identities_claim(p jsonb) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    r record;
    h bigint;
    routed uuid[] := '{}';
BEGIN
    PERFORM graph_patience();
    FOR h IN
        SELECT DISTINCT hashtextextended(x.tenant_id || '/' || k.kind || '/' || k.value, 0) AS h
        FROM jsonb_to_recordset(p) AS x(tenant_id text, phone_key text, email_key text),
             LATERAL (VALUES ('phone', x.phone_key), ('email', x.email_key)) AS k (kind, value)
        WHERE k.value <> '' ORDER BY 1
    LOOP
        PERFORM pg_advisory_xact_lock(h);
    END LOOP;
    PERFORM FROM identities WHERE id = ANY (ARRAY(
        SELECT x.identity_id FROM jsonb_to_recordset(p) AS x(identity_id uuid)
        UNION
        SELECT e.identity_id
        FROM jsonb_to_recordset(p) AS x(tenant_id text, phone_key text, email_key text)
        CROSS JOIN LATERAL (VALUES ('phone', x.phone_key), ('email', x.email_key)) AS k (kind, value)
        JOIN identity_evidence e ON e.tenant_id = x.tenant_id AND e.kind = k.kind AND e.value = k.value
        WHERE k.value <> ''))
    ORDER BY id FOR NO KEY UPDATE;
    FOR r IN
        SELECT * FROM jsonb_to_recordset(p) AS x(identity_id uuid, first_person_id uuid, tenant_id text, instance_id uuid, channel text,
            chat_id uuid, message_id uuid, platform_user_id text, sender_name text, username text, phone text, email text,
            phone_key text, email_key text, is_bot boolean, traceparent text)
        ORDER BY identity_id
    LOOP
        routed := routed || identity_claim(to_jsonb(r));
    END LOOP;
    RETURN routed;
END $$;
-- +goose StatementEnd

-- identities_claim for one account; everything is locked.
-- +goose StatementBegin
CREATE FUNCTION identity_claim(r jsonb) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    routed uuid[] := '{}';
    i      identities;
    fresh  boolean;
    shown  text := (SELECT value FROM identity_evidence WHERE identity_id = (r ->> 'identity_id')::uuid AND kind = 'phone');
    news   int;
    other  record;
    target uuid;
    cause  jsonb := jsonb_build_object('chat_id', r ->> 'chat_id', 'message_id', r ->> 'message_id', 'traceparent', r ->> 'traceparent');
    c      merges;
BEGIN
    INSERT INTO identities (id, tenant_id, instance_id, channel, platform_user_id, person_id, name, username, phone, email, is_bot)
    VALUES ((r ->> 'identity_id')::uuid, r ->> 'tenant_id', (r ->> 'instance_id')::uuid, r ->> 'channel', r ->> 'platform_user_id',
            (r ->> 'first_person_id')::uuid, r ->> 'sender_name', r ->> 'username', r ->> 'phone', r ->> 'email', (r ->> 'is_bot')::boolean)
    ON CONFLICT (id) DO NOTHING;
    fresh := FOUND;
    IF fresh THEN
        INSERT INTO persons (id, tenant_id, display_name, phone, email)
        VALUES ((r ->> 'first_person_id')::uuid, r ->> 'tenant_id', r ->> 'sender_name', r ->> 'phone', r ->> 'email')
        ON CONFLICT (id) DO NOTHING;
    END IF;
    SELECT * INTO i FROM identities WHERE id = (r ->> 'identity_id')::uuid FOR NO KEY UPDATE;
    INSERT INTO identity_evidence AS e (identity_id, kind, tenant_id, value)
    SELECT i.id, k.kind, i.tenant_id, k.value FROM (VALUES ('phone', r ->> 'phone_key'), ('email', r ->> 'email_key')) AS k (kind, value)
    WHERE k.value <> ''
    ON CONFLICT (identity_id, kind) DO UPDATE SET value = excluded.value, seen_at = clock_timestamp() WHERE e.value <> excluded.value;
    GET DIAGNOSTICS news = ROW_COUNT;
    IF NOT fresh THEN
        UPDATE identities SET phone = coalesce(nullif(r ->> 'phone', ''), phone), email = coalesce(nullif(r ->> 'email', ''), email)
        WHERE id = i.id AND (r ->> 'phone' NOT IN ('', phone) OR r ->> 'email' NOT IN ('', email));
        PERFORM person_refreshed(i.person_id, NULL, NULL) WHERE news > 0;
    END IF;
    IF news > 0 THEN
        SELECT * INTO other FROM claim_target(i, shown, r ->> 'phone_key', r ->> 'email_key');
        target := other.person_id;
    END IF;
    IF fresh THEN
        PERFORM graph_say('identity.created', coalesce(target, i.person_id)::text, i.id, coalesce(target, i.person_id), cause,
            jsonb_build_object('personId', coalesce(target, i.person_id), 'identityId', i.id, 'instanceId', i.instance_id,
                               'platformUserId', i.platform_user_id, 'displayName', i.name));
    END IF;
    IF target IS NOT NULL THEN
        c.id := uuid_v7(); c.tenant_id := i.tenant_id; c.kind := 'link'; c.source_person_id := i.person_id; c.target_person_id := target;
        c.identity_ids := ARRAY[i.id]; c.automatic := true; c.made_by := 'evidence'; c.reason := other.reason; c.confidence := other.confidence;
        c.evidence := jsonb_build_array(jsonb_build_object('reason', other.reason, 'value', other.value, 'identityIds', ARRAY[i.id, other.identity_id]));
        UPDATE identities SET person_id = target WHERE id = i.id;
        c := graph_change(c, cause);
        IF c.owned ? 'agent_routes' THEN
            routed := ARRAY(SELECT DISTINCT a.instance_id FROM agent_routes a
                            WHERE a.id = ANY (ARRAY(SELECT jsonb_array_elements_text(c.owned -> 'agent_routes')::uuid)));
        END IF;
    END IF;
    IF news > 0 THEN
        PERFORM suggestion_add(i.id, o.identity_id, o.reason, o.value, o.confidence, cause)
        FROM claim_others(i.id, i.tenant_id, r ->> 'phone_key', r ->> 'email_key') o;
    END IF;
    RETURN routed;
END $$;
-- +goose StatementEnd

-- The persons who have shown the same phone number or address as an account that
-- is not theirs, each with one account of theirs: by number first.
-- +goose StatementBegin
CREATE FUNCTION claim_others(p_identity uuid, p_tenant text, p_phone text, p_email text)
RETURNS TABLE (person_id uuid, identity_id uuid, reason text, value text, confidence float8) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT DISTINCT ON (k.reason, o.person_id) o.person_id, o.id, k.reason, k.value, k.confidence
    FROM (VALUES ('phone', 'same_phone', p_phone, 0.95::float8), ('email', 'same_email', p_email, 0.9)) AS k (kind, reason, value, confidence)
    JOIN identity_evidence e ON e.tenant_id = p_tenant AND e.kind = k.kind AND e.value = k.value
    JOIN identities o ON o.id = e.identity_id
    WHERE k.value <> '' AND o.person_id <> (SELECT i.person_id FROM identities i WHERE i.id = p_identity)
    ORDER BY k.reason DESC, o.person_id, o.first_seen_at, o.id
    LIMIT 20;
END $$;
-- +goose StatementEnd

-- Whose an account becomes by what it has shown; no row where nobody's, or
-- where people have to say. p_shown is the number that it had shown before.
-- +goose StatementBegin
CREATE FUNCTION claim_target(i identities, p_shown text, p_phone text, p_email text)
RETURNS TABLE (person_id uuid, identity_id uuid, reason text, value text, confidence float8) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    phones int;
    mails  int;
    o      record;
BEGIN
    SELECT count(*) FILTER (WHERE x.reason = 'same_phone'), count(*) FILTER (WHERE x.reason = 'same_email') INTO phones, mails
    FROM claim_others(i.id, i.tenant_id, p_phone, p_email) x;
    IF phones > 1 OR phones = 0 AND mails <> 1 OR i.pinned
       OR EXISTS (SELECT FROM identities x WHERE x.person_id = i.person_id AND x.id <> i.id) THEN
        RETURN;
    END IF;
    SELECT * INTO o FROM claim_others(i.id, i.tenant_id, p_phone, p_email) x ORDER BY x.reason DESC LIMIT 1;
    -- Another number: it may be another's now, or the address is a family's.
    IF phones = 1 AND p_shown <> p_phone
       OR phones = 0 AND coalesce(nullif(p_phone, ''), p_shown) IS NOT NULL
          AND EXISTS (SELECT FROM identity_evidence e JOIN identities x ON x.id = e.identity_id WHERE x.person_id = o.person_id AND e.kind = 'phone')
       OR EXISTS (SELECT FROM person_suggestions s -- somebody said that they are not one
                  WHERE s.status = 'dismissed' AND i.id IN (s.identity_a, s.identity_b)
                    AND EXISTS (SELECT FROM identities x WHERE x.id IN (s.identity_a, s.identity_b) AND x.person_id = o.person_id)) THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT o.person_id, o.identity_id, o.reason, o.value, o.confidence;
END $$;
-- +goose StatementEnd

-- Looks for accounts that may be one person's among those first seen since the
-- last time: the same username anywhere, or the same name in a group that both
-- write in. Those of the last moments are looked at again, as they may have been
-- written by transactions that were under way. Returns how many it found.
-- +goose StatementBegin
CREATE FUNCTION suggestions_find(p_settle interval, p_limit int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    since   record;
    settled timestamptz := clock_timestamp() - p_settle;
    i       record;
    last    record;
    found_  int := 0;
BEGIN
    PERFORM graph_patience();
    INSERT INTO suggestion_cursor (at, id) VALUES ('-infinity', '00000000-0000-0000-0000-000000000000') ON CONFLICT DO NOTHING;
    SELECT * INTO since FROM suggestion_cursor FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN -- another janitor is at it
        RETURN 0;
    END IF;
    FOR i IN
        SELECT x.id, x.tenant_id, x.person_id, x.name, x.username, x.first_seen_at FROM identities x
        WHERE x.first_seen_at >= since.at AND (x.first_seen_at, x.id) > (since.at, since.id) AND NOT x.is_bot
        ORDER BY x.first_seen_at, x.id LIMIT p_limit
    LOOP
        found_ := found_ + suggestions_for(i.id, i.tenant_id, i.person_id, i.name, i.username);
        IF i.first_seen_at < settled THEN
            last := i;
        END IF;
    END LOOP;
    IF last IS NOT NULL THEN
        UPDATE suggestion_cursor SET at = last.first_seen_at, id = last.id;
    END IF;
    RETURN found_;
END $$;
-- +goose StatementEnd

-- suggestions_find for one account.
-- +goose StatementBegin
CREATE FUNCTION suggestions_for(p_identity uuid, p_tenant text, p_person uuid, p_name text, p_username text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    o      record;
    found_ int := 0;
BEGIN
    FOR o IN
        (SELECT x.id, 'same_username' AS reason, p_username AS value, 0.6::float8 AS confidence FROM identities x
         WHERE p_username <> '' AND x.username <> '' AND x.tenant_id = p_tenant AND lower(x.username) = lower(p_username)
           AND x.person_id <> p_person AND NOT x.is_bot ORDER BY x.id LIMIT 20)
        UNION ALL
        (SELECT x.id, 'same_name_and_group', p_name, 0.4 FROM
            (SELECT y.id, y.person_id, y.instance_id FROM identities y
             WHERE p_name <> '' AND y.name <> '' AND y.tenant_id = p_tenant AND lower(y.name) = lower(p_name)
               AND y.person_id <> p_person AND NOT y.is_bot ORDER BY y.id LIMIT 100) x
         WHERE EXISTS (
             SELECT FROM messages m JOIN chats g ON g.id = m.chat_id AND g.type = 'group'
             JOIN chats h ON h.instance_id = x.instance_id AND h.external_id = g.external_id AND h.channel = g.channel AND h.type = 'group'
             JOIN messages n ON n.chat_id = h.id AND n.person_id = x.person_id AND n.identity_id = x.id AND n.direction = 'inbound'
             WHERE m.person_id = p_person AND m.identity_id = p_identity AND m.direction = 'inbound')
         LIMIT 20)
    LOOP
        IF suggestion_add(p_identity, o.id, o.reason, o.value, o.confidence, '{}') THEN
            found_ := found_ + 1;
        END IF;
    END LOOP;
    RETURN found_;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION suggestions_for(uuid, text, uuid, text, text), suggestions_find(interval, int), claim_target(identities, text, text, text),
    claim_others(uuid, text, text, text), identity_claim(jsonb), identities_claim(jsonb), suggestion_dismiss(text, uuid[], uuid, text),
    suggestion_confirm(text, uuid[], uuid, text, text), merge_undo(text, uuid[], uuid, text), person_restored(jsonb), merge_superseded(merges),
    identity_unlink(text, uuid[], uuid, text, text), identity_link(text, uuid[], uuid, uuid, text, text),
    persons_merge(text, uuid[], uuid, uuid, text, text, jsonb, float8, uuid), person_refused(text, uuid, uuid[]);
DROP TYPE graph_answer;
DROP FUNCTION person_aliases(uuid), person_now(uuid), suggestion_add(uuid, uuid, text, text, float8, jsonb), graph_change(merges, jsonb), person_refreshed(uuid, uuid[], jsonb),
    person_fields(uuid), person_owned_moved(uuid, uuid, jsonb), accounts_moved(uuid[], uuid, uuid), person_session(uuid),
    graph_say(text, text, uuid, uuid, jsonb, jsonb), graph_lock(text), graph_patience();
DROP INDEX events_person, messages_person, identities_name, identities_username, identities_first_seen;
DROP TABLE suggestion_cursor, person_suggestions, merges, identity_evidence;
