-- +goose Up

-- Who may talk to us. What a rule looks at is in match, but for the person,
-- who is in a column so that merging persons can move the rule. found_by is the
-- one key under which the rule is looked for: the most telling thing it looks
-- at, or, of a pattern, what the pattern begins with (omni.RuleMatch.Key).
CREATE TABLE access_rules (
    id           uuid PRIMARY KEY,
    tenant_id    text NOT NULL,
    instance_id  uuid,                             -- NULL: every instance of the tenant
    type         text NOT NULL,                    -- allow deny silent
    person_id    uuid,
    match        jsonb NOT NULL DEFAULT '{}',      -- omni.RuleMatch, without the person
    match_key    text NOT NULL,
    found_by     text COLLATE "C" NOT NULL GENERATED ALWAYS AS (coalesce('person:' || person_id::text, match_key)) STORED,
    priority     int NOT NULL DEFAULT 0,
    reason       text NOT NULL DEFAULT '',
    notice       text NOT NULL DEFAULT '',
    expires_at   timestamptz,
    schedule     jsonb,                            -- omni.Schedule
    rate_count   int,
    rate_seconds int,
    source       text NOT NULL DEFAULT 'api',      -- api pairing
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX access_rules_found  ON access_rules (tenant_id, found_by);
CREATE INDEX access_rules_recent ON access_rules (tenant_id, created_at DESC, id DESC);
CREATE INDEX access_rules_person ON access_rules (person_id) WHERE person_id IS NOT NULL;

-- What an account has left of what a rule lets through: a token bucket.
CREATE TABLE access_buckets (
    rule_id     uuid NOT NULL,
    identity_id uuid NOT NULL,
    tenant_id   text NOT NULL,
    tokens      double precision NOT NULL,
    filled_at   timestamptz NOT NULL,              -- as of when
    PRIMARY KEY (rule_id, identity_id)
) WITH (fillfactor = 80);
CREATE INDEX access_buckets_age ON access_buckets (filled_at);

-- When an account was last told that a rule denies it.
CREATE TABLE access_notices (
    rule_id     uuid NOT NULL,
    identity_id uuid NOT NULL,
    tenant_id   text NOT NULL,
    told_at     timestamptz NOT NULL,
    PRIMARY KEY (rule_id, identity_id)
);
CREATE INDEX access_notices_age ON access_notices (told_at);

-- Strangers who were given a code.
CREATE TABLE access_pairings (
    id          uuid PRIMARY KEY,
    tenant_id   text NOT NULL,
    instance_id uuid NOT NULL,
    channel     text NOT NULL,
    identity_id uuid NOT NULL,
    person_id   uuid,
    chat_id     uuid NOT NULL,
    message_id  uuid NOT NULL,                     -- the message that asked for it
    code        text NOT NULL,
    status      text NOT NULL DEFAULT 'open',      -- open approved rejected expired
    rule_id     uuid,                              -- approved: what allows them
    expires_at  timestamptz NOT NULL,
    decided_at  timestamptz,
    decided_by  text NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX access_pairings_open ON access_pairings (instance_id, identity_id) WHERE status = 'open';
CREATE UNIQUE INDEX access_pairings_code ON access_pairings (tenant_id, code) WHERE status = 'open';
CREATE INDEX access_pairings_identity    ON access_pairings (identity_id, created_at DESC);
CREATE INDEX access_pairings_recent      ON access_pairings (tenant_id, created_at DESC, id DESC);

-- Every key under which a rule about this sender may be found. A pattern is
-- found by the first 0, 3, 5, 7, 9 or 12 characters of what it begins with, as
-- many as it has (omni.RuleMatch.Key). (Without a query, which would cost more
-- than all the rest.)
-- +goose StatementBegin
CREATE FUNCTION access_keys(p_person uuid, p_user text, p_phones text[], p_handle text, p_chat uuid, p_chat_type text, p_channel text)
RETURNS text[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    p    text;
    keys text[] := ARRAY['*', 'channel:' || p_channel, 'type:' || p_chat_type, 'chat:' || p_chat::text, 'person:' || p_person::text,
        'user=' || p_user, 'user~', 'user~' || left(p_user, 3), 'user~' || left(p_user, 5), 'user~' || left(p_user, 7),
        'user~' || left(p_user, 9), 'user~' || left(p_user, 12),
        'handle=' || p_handle, 'handle~', 'handle~' || left(p_handle, 3), 'handle~' || left(p_handle, 5), 'handle~' || left(p_handle, 7),
        'handle~' || left(p_handle, 9), 'handle~' || left(p_handle, 12)];
BEGIN
    FOREACH p IN ARRAY coalesce(p_phones, '{}') LOOP
        keys := keys || ARRAY['phone=' || p, 'phone~', 'phone~' || left(p, 3), 'phone~' || left(p, 5), 'phone~' || left(p, 7),
                              'phone~' || left(p, 9), 'phone~' || left(p, 12)];
    END LOOP;
    RETURN keys;
END $$;
-- +goose StatementEnd

-- The rules that may be about a sender, all that are and some that are not:
-- "<id>/<version>" each, one blank between them. What they say is known to
-- whoever has read that version: it is not sent with every message. Whatever
-- changes a row gives it another xmin, moving it to another person included.
-- +goose StatementBegin
CREATE FUNCTION access_candidates(p_tenant text, p_instance uuid, p_keys text[]) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT string_agg(r.id::text || '/' || r.xmin::text, ' ')
            FROM access_rules r
            -- In another collation than their own the index would be of no use: what a
            -- caller folds by must not come to decide that.
            WHERE r.tenant_id = p_tenant COLLATE "default" AND r.found_by = ANY (p_keys COLLATE "C")
              AND (r.instance_id IS NULL OR r.instance_id = p_instance));
END $$;
-- +goose StatementEnd

-- Digits only, as E.164 has them; NULL for none.
-- +goose StatementBegin
CREATE FUNCTION access_phone(p text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT '+' || nullif(translate(p, '+ ()-./', ''), '')
$$;
-- +goose StatementEnd

-- Every phone number of a sender, once: what was verified of any account of the
-- person, and what is shown as theirs.
-- +goose StatementBegin
CREATE FUNCTION access_phones(p_verified text[], p_shown text, p_of_person text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    p     text;
    known text[] := '{}';
BEGIN
    FOREACH p IN ARRAY p_verified || access_phone(p_shown) || access_phone(p_of_person) LOOP
        IF p <> ALL (known) THEN
            known := known || p;
        END IF;
    END LOOP;
    RETURN known;
END $$;
-- +goose StatementEnd

-- Everything that deciding about a message needs, in one reading: the mode, who
-- sent it, and the rules that may be about them. NULL: no such message. The
-- mode is NULL where the instance was deleted.
-- +goose StatementBegin
CREATE FUNCTION access_question(p_message uuid) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    f      record;
    phones text[];
    rules  text;
BEGIN
    SELECT m.tenant_id, m.instance_id, m.channel, m.chat_id, m.identity_id, coalesce(i.person_id, m.person_id) AS person_id,
           m.sender_platform_id AS user_id, lower(ltrim(nullif(i.username, ''), '@') COLLATE "C") COLLATE "default" AS handle,
           i.phone AS shown, p.phone AS of_person, ARRAY(SELECT e.value FROM identities o JOIN identity_evidence e ON e.identity_id = o.id AND e.kind = 'phone'
                                                         WHERE o.person_id = i.person_id) AS verified,
           c.type AS chat_type, c.paused AND coalesce(c.paused_until > clock_timestamp(), true) AS paused,
           CASE WHEN n.id IS NOT NULL THEN coalesce(n.settings -> 'access' ->> 'mode', '') END AS mode
    INTO f
    FROM messages m
    JOIN chats c ON c.id = m.chat_id
    LEFT JOIN identities i ON i.id = m.identity_id
    LEFT JOIN persons p ON p.id = i.person_id
    LEFT JOIN instances n ON n.id = m.instance_id AND n.deleted_at IS NULL
    WHERE m.id = p_message;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    phones := access_phones(f.verified, f.shown, f.of_person);
    IF f.mode NOT IN ('', 'disabled') THEN
        rules := access_candidates(f.tenant_id, f.instance_id,
            access_keys(f.person_id, f.user_id, phones, f.handle, f.chat_id, f.chat_type, f.channel));
    END IF;
    RETURN json_build_object('mode', f.mode, 'paused', f.paused, 'instanceId', f.instance_id, 'channel', f.channel,
        'chatId', f.chat_id, 'chatType', f.chat_type, 'identityId', f.identity_id, 'personId', f.person_id, 'platformUserId', f.user_id,
        'handle', coalesce(f.handle, ''), 'phones', phones, 'rules', coalesce(rules, ''));
END $$;
-- +goose StatementEnd

-- The account of an instance that somebody means: by the platform's id, else by
-- a phone number, else as a person's; of several, the one seen last. What is known
-- of it, as access_question has it; NULL where there is none.
-- +goose StatementBegin
CREATE FUNCTION access_sender(p_tenant text, p_instance uuid, p_user text, p_phone text, p_person uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT jsonb_build_object('identityId', i.id, 'personId', i.person_id, 'platformUserId', i.platform_user_id,
                'handle', coalesce(lower(ltrim(i.username, '@') COLLATE "C") COLLATE "default", ''),
                'phones', to_jsonb(access_phones(ARRAY(SELECT e.value FROM identities o
                    JOIN identity_evidence e ON e.identity_id = o.id AND e.kind = 'phone' WHERE o.person_id = i.person_id), i.phone, p.phone)))
            FROM identities i LEFT JOIN persons p ON p.id = i.person_id
            WHERE i.id = coalesce(
                (SELECT o.id FROM identities o WHERE p_user <> '' AND o.instance_id = p_instance AND o.platform_user_id = p_user),
                (SELECT o.id FROM identity_evidence e JOIN identities o ON o.id = e.identity_id
                 WHERE p_user = '' AND p_phone <> '' AND e.tenant_id = p_tenant AND e.kind = 'phone' AND e.value = p_phone AND o.instance_id = p_instance
                 ORDER BY o.last_seen_at DESC, o.id LIMIT 1),
                (SELECT o.id FROM identities o WHERE p_user = '' AND p_phone = '' AND o.person_id = p_person AND o.instance_id = p_instance
                 ORDER BY o.last_seen_at DESC, o.id LIMIT 1))
              AND i.tenant_id = p_tenant);
END $$;
-- +goose StatementEnd

-- Takes a token; false where none is left. The bucket begins full.
-- +goose StatementBegin
CREATE FUNCTION access_take(p_tenant text, p_rule uuid, p_identity uuid, p_count int, p_seconds int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    now_ timestamptz;
    left_ double precision;
BEGIN
    INSERT INTO access_buckets (rule_id, identity_id, tenant_id, tokens, filled_at)
    VALUES (p_rule, p_identity, p_tenant, p_count, clock_timestamp())
    ON CONFLICT (rule_id, identity_id) DO NOTHING;
    SELECT tokens, filled_at INTO left_, now_ FROM access_buckets WHERE rule_id = p_rule AND identity_id = p_identity FOR UPDATE;
    left_ := access_tokens(left_, now_, clock_timestamp(), p_count, p_seconds);
    IF left_ < 1 THEN -- what is coming in goes on coming in
        RETURN false;
    END IF;
    UPDATE access_buckets SET tokens = left_ - 1, filled_at = greatest(filled_at, clock_timestamp())
    WHERE rule_id = p_rule AND identity_id = p_identity;
    RETURN true;
END $$;
-- +goose StatementEnd

-- What is in a bucket at a time.
-- +goose StatementBegin
CREATE FUNCTION access_tokens(p_tokens double precision, p_filled timestamptz, p_at timestamptz, p_count int, p_seconds int)
RETURNS double precision LANGUAGE sql IMMUTABLE AS $$
    SELECT least(p_count, p_tokens + greatest(0, extract(epoch FROM p_at - p_filled)) * p_count / p_seconds)::double precision
$$;
-- +goose StatementEnd

-- Says something to whoever sent a message, as a message sent by API is said:
-- under a key, so that its workflow is started later where it was not at once.
-- +goose StatementBegin
CREATE FUNCTION access_say(m messages, p_text text) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    said    uuid := uuid_v7();
    content jsonb := jsonb_build_object('type', 'text', 'text', p_text);
BEGIN
    INSERT INTO messages (id, tenant_id, instance_id, channel, chat_id, person_id, direction, kind, content, text, status,
                          correlation_id, traceparent, part_index, part_count)
    VALUES (said, m.tenant_id, m.instance_id, m.channel, m.chat_id, m.person_id, 'outbound', 'message', content, p_text, 'queued',
            m.id, m.traceparent, 0, 1);
    INSERT INTO idempotency_keys (tenant_id, key_hash, body_hash, message_id) VALUES (m.tenant_id, access_said_key(m.id), '', said);
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, causation_id, traceparent, data)
    VALUES (uuid_v7(), m.tenant_id, 'message.sending', said::text, m.instance_id, m.channel, m.chat_id, m.person_id, m.id, NULL,
            m.traceparent, jsonb_build_object('messageId', said, 'chatId', m.chat_id, 'personId', m.person_id,
                'instanceId', m.instance_id, 'direction', 'outbound', 'content', content,
                'part', jsonb_build_object('index', 0, 'count', 1), 'status', 'queued'));
    RETURN said;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION access_said_key(p_message uuid) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT sha256(convert_to('access/' || p_message::text, 'UTF8'))
$$;
-- +goose StatementEnd

-- Gives a stranger a code, once: true where one was given now. Refused says why
-- there is none. Strangers of one instance come one after the other.
-- +goose StatementBegin
CREATE FUNCTION access_pair(m messages, p_identity uuid, p_code text, OUT given boolean, OUT refused text) LANGUAGE plpgsql AS $$
BEGIN
    given := false;
    PERFORM pg_advisory_xact_lock(hashtextextended('access/pair/' || m.instance_id::text, 0));
    UPDATE access_pairings SET status = 'expired', decided_at = expires_at
    WHERE instance_id = m.instance_id AND status = 'open' AND expires_at <= clock_timestamp();
    IF EXISTS (SELECT FROM access_pairings WHERE instance_id = m.instance_id AND identity_id = p_identity AND status = 'open') THEN
        RETURN;
    ELSIF EXISTS (SELECT FROM access_pairings WHERE instance_id = m.instance_id AND identity_id = p_identity AND status = 'rejected'
                  AND decided_at > clock_timestamp() - interval '24 hours') THEN
        refused := 'their pairing was rejected';
        RETURN;
    ELSIF (SELECT count(*) FROM access_pairings WHERE instance_id = m.instance_id AND status = 'open') >= 3 THEN
        refused := 'three pairings are open already';
        RETURN;
    END IF;
    INSERT INTO access_pairings (id, tenant_id, instance_id, channel, identity_id, person_id, chat_id, message_id, code, expires_at)
    VALUES (uuid_v7(), m.tenant_id, m.instance_id, m.channel, p_identity, m.person_id, m.chat_id, m.id, p_code,
            clock_timestamp() + interval '1 hour')
    -- The same code as another stranger's, once in a lifetime: their next message gets another one.
    ON CONFLICT DO NOTHING;
    given := FOUND;
END $$;
-- +goose StatementEnd

CREATE TYPE access_answer AS (decision text, rule_id uuid, reason text, said uuid);

-- access.Check decides, once per message: what stands already is said again.
-- p_steps is what the rules come to (omni.AccessPlan): each step ends it with
-- its decision, or, where it has a limit, according to whether a token is left.
-- Nothing is taken, and nobody is told anything, but together with the
-- decision. said is what was said to the sender and is not known to be sent.
-- +goose StatementBegin
CREATE FUNCTION access_decide(p_message uuid, p_mode text, p_steps jsonb, p_code text, p_text text, p_started timestamptz, p_attempt int)
RETURNS access_answer LANGUAGE plpgsql AS $$
DECLARE
    m   messages;
    a   access_answer;
    s   record;
    who uuid;
    paired record;
BEGIN
    SELECT * INTO STRICT m FROM messages WHERE id = p_message FOR NO KEY UPDATE;
    IF m.access_decision IS NOT NULL THEN
        a.decision := m.access_decision; a.rule_id := m.access_rule_id; a.reason := m.access_reason;
        a.said := (SELECT k.message_id FROM idempotency_keys k
                   WHERE k.tenant_id = m.tenant_id AND k.key_hash = access_said_key(m.id) AND k.started_at IS NULL);
        RETURN a;
    END IF;
    who := coalesce(m.identity_id, m.chat_id);
    FOR s IN SELECT * FROM jsonb_to_recordset(p_steps) AS x("ruleId" uuid, within text, beyond text, reason text, "beyondReason" text,
                                                             count int, "perSeconds" int, notice text) LOOP
        a.rule_id := s."ruleId"; a.reason := s.reason; a.decision := s.within;
        IF s.count IS NOT NULL AND NOT access_take(m.tenant_id, s."ruleId", who, s.count, s."perSeconds") THEN
            a.decision := s.beyond; a.reason := s."beyondReason";
        END IF;
        EXIT WHEN a.decision <> '';
    END LOOP;
    IF a.decision = 'pair' THEN
        SELECT * INTO paired FROM access_pair(m, who, p_code);
        IF paired.given THEN
            a.said := access_say(m, p_text);
        ELSIF paired.refused IS NOT NULL THEN
            a.decision := 'silent'; a.reason := paired.refused;
        END IF;
    ELSIF a.decision = 'deny' AND s.notice <> '' THEN
        INSERT INTO access_notices AS n (rule_id, identity_id, tenant_id, told_at) VALUES (a.rule_id, who, m.tenant_id, clock_timestamp())
        ON CONFLICT (rule_id, identity_id) DO UPDATE SET told_at = excluded.told_at WHERE n.told_at <= clock_timestamp() - interval '24 hours';
        IF FOUND THEN
            a.said := access_say(m, s.notice);
        END IF;
    END IF;
    UPDATE messages SET access_decision = a.decision, access_rule_id = a.rule_id, access_reason = a.reason,
        status = CASE WHEN status <> 'received' THEN status WHEN a.decision = 'allow' THEN 'processing' ELSE 'denied' END,
        updated_at = clock_timestamp()
    WHERE id = p_message;
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, traceparent, data)
    VALUES (uuid_v7(), m.tenant_id, 'access.checked', m.id::text, m.instance_id, m.channel, m.chat_id, m.person_id, m.id, m.traceparent,
            jsonb_build_object('messageId', m.id, 'chatId', m.chat_id, 'instanceId', m.instance_id, 'personId', m.person_id,
                'decision', a.decision, 'ruleId', a.rule_id, 'reason', a.reason, 'mode', p_mode)
            || step_data('access.Check', p_started, p_attempt));
    RETURN a;
END $$;
-- +goose StatementEnd

-- Decides about a stranger: by id, or by the code that they were given. A
-- wrong code costs a token of the caller's; without one left, codes are not
-- looked at. state: decided limited unknown closed.
-- +goose StatementBegin
CREATE FUNCTION access_pairing_decide(p_tenant text, p_within uuid[], p_instance uuid, p_id uuid, p_code text, p_guesser uuid,
    p_status text, p_rule uuid, p_by text, OUT state text, OUT id uuid) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    none  uuid := '00000000-0000-0000-0000-000000000000'; -- no rule: what is counted are wrong codes
    guess boolean := p_id IS NULL;
    g     access_pairings;
BEGIN
    IF guess AND NOT access_take(p_tenant, none, p_guesser, 10, 600) THEN
        state := 'limited';
        RETURN;
    END IF;
    SELECT * INTO g FROM access_pairings p
    WHERE p.tenant_id = p_tenant AND (p_within IS NULL OR p.instance_id = ANY (p_within)) AND (p_instance IS NULL OR p.instance_id = p_instance)
      AND CASE WHEN guess THEN p.code = p_code AND p.status = 'open' AND p.expires_at > clock_timestamp() ELSE p.id = p_id END
    FOR UPDATE;
    IF g.id IS NULL THEN
        state := 'unknown';
        RETURN;
    END IF;
    IF guess THEN -- it was none
        UPDATE access_buckets SET tokens = tokens + 1 WHERE rule_id = none AND identity_id = p_guesser;
    END IF;
    id := g.id; state := 'closed';
    IF g.status = 'open' AND g.expires_at > clock_timestamp() THEN
        state := 'decided';
        UPDATE access_pairings SET status = p_status, decided_at = clock_timestamp(), decided_by = p_by, rule_id = p_rule WHERE id = g.id;
    END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION access_pairing_decide(text, uuid[], uuid, uuid, text, uuid, text, uuid, text);
DROP FUNCTION access_decide(uuid, text, jsonb, text, text, timestamptz, int);
DROP TYPE access_answer;
DROP FUNCTION access_pair(messages, uuid, text), access_said_key(uuid), access_say(messages, text), access_take(text, uuid, uuid, int, int),
    access_tokens(double precision, timestamptz, timestamptz, int, int), access_question(uuid),
    access_sender(text, uuid, text, text, uuid), access_phones(text[], text, text), access_phone(text),
    access_candidates(text, uuid, text[]), access_keys(uuid, text, text[], text, uuid, text, text);
DROP TABLE access_pairings, access_notices, access_buckets, access_rules;
