-- +goose Up

-- Follow-ups: what an instance says when a chat stays silent after an answer.
-- The rows are written in the transaction that answers a turn, so they say
-- what is owed whatever happens to the process; a workflow each waits for the
-- time. A follow-up that is due becomes a turn of its own, which no message
-- leads: it is asked, split, delivered, taken over and adopted like any other.

CREATE TABLE follow_ups (
    turn_id       uuid NOT NULL,             -- the turn that was answered
    n             int NOT NULL,              -- which of the instance's follow-ups, from 0
    tenant_id     text NOT NULL,
    instance_id   uuid NOT NULL,
    channel       text NOT NULL,
    chat_id       uuid NOT NULL,
    leader        uuid NOT NULL,             -- message id; the correlation id of its events
    after_seconds int NOT NULL,
    since         timestamptz NOT NULL,      -- when the turn's batch was fixed: what came later is not part of it
    since_seq     bigint NOT NULL,
    due_at        timestamptz NOT NULL,
    state         text NOT NULL DEFAULT 'scheduled', -- scheduled sending sent cancelled
    reason        text NOT NULL DEFAULT '',  -- why it was cancelled
    own_turn      uuid,                      -- the turn that sends it
    prompt        text NOT NULL DEFAULT '',  -- what the agent is asked
    armed_at      timestamptz,               -- NULL: its workflow is not known to exist
    check_at      timestamptz NOT NULL,      -- past it, the janitor looks after its workflow
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at      timestamptz,
    -- For their indexes: see turns_due.
    waits_in      uuid GENERATED ALWAYS AS (CASE WHEN state = 'scheduled' THEN chat_id END) STORED,
    waits_until   timestamptz GENERATED ALWAYS AS (CASE WHEN state = 'scheduled' THEN check_at END) STORED,
    PRIMARY KEY (turn_id, n)
);
CREATE INDEX follow_ups_chat ON follow_ups (waits_in) WHERE waits_in IS NOT NULL;
CREATE INDEX follow_ups_check ON follow_ups (waits_until) WHERE waits_until IS NOT NULL;
CREATE UNIQUE INDEX follow_ups_own_turn ON follow_ups (own_turn) WHERE own_turn IS NOT NULL;
CREATE INDEX messages_send_at ON messages (chat_id, send_at) WHERE send_at IS NOT NULL;

-- What the log says of a follow-up.
-- +goose StatementBegin
CREATE FUNCTION follow_up_say(f follow_ups, p_type text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, correlation_id, data)
    VALUES (uuid_v7(), f.tenant_id, p_type, f.turn_id::text || '/' || f.n, f.instance_id, f.channel, f.chat_id, f.leader,
            jsonb_strip_nulls(jsonb_build_object('turnId', f.turn_id, 'n', f.n, 'chatId', f.chat_id, 'instanceId', f.instance_id,
                'messageId', f.leader, 'afterSeconds', f.after_seconds, 'dueAt', f.due_at, 'followUpTurnId', f.own_turn,
                'reason', nullif(f.reason, ''))));
END $$;
-- +goose StatementEnd

-- Ends what waits in a chat, unsent. The chat is locked.
-- +goose StatementBegin
CREATE FUNCTION follow_ups_cancel(p_chat uuid, p_reason text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    f follow_ups;
BEGIN
    FOR f IN UPDATE follow_ups SET state = 'cancelled', reason = p_reason, ended_at = clock_timestamp()
             WHERE waits_in = p_chat RETURNING * LOOP
        PERFORM follow_up_say(f, 'followup.cancelled');
    END LOOP;
END $$;
-- +goose StatementEnd

-- Writes down what is owed after a turn was answered. The chat is locked. What
-- was to follow an earlier answer has been overtaken by a message.
-- +goose StatementBegin
CREATE FUNCTION follow_ups_schedule(t turns) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    wanted jsonb := (SELECT settings #> '{messaging,followUps}' FROM instances WHERE id = t.instance_id AND deleted_at IS NULL);
    now_   timestamptz := clock_timestamp();
    f      follow_ups;
BEGIN
    IF jsonb_typeof(wanted) IS DISTINCT FROM 'array' OR wanted = '[]' THEN
        RETURN;
    END IF;
    PERFORM follow_ups_cancel(t.chat_id, 'message');
    FOR f IN INSERT INTO follow_ups (turn_id, n, tenant_id, instance_id, channel, chat_id, leader, after_seconds, since, since_seq,
                                     due_at, check_at)
             SELECT t.id, x.n - 1, t.tenant_id, t.instance_id, t.channel, t.chat_id, t.leader, (x.spec ->> 'afterSeconds')::int,
                    coalesce(t.closed_at, now_), t.last_seq, now_ + make_interval(secs => (x.spec ->> 'afterSeconds')::int),
                    now_ + interval '10 seconds'
             FROM jsonb_array_elements(wanted) WITH ORDINALITY AS x(spec, n)
             ON CONFLICT DO NOTHING
             RETURNING * LOOP
        PERFORM follow_up_say(f, 'followup.scheduled');
    END LOOP;
END $$;
-- +goose StatementEnd

-- Why a follow-up must not go out, as everything reads now; NULL if it may. The
-- chat is locked: whoever records a message of the chat holds the lock too.
-- +goose StatementBegin
CREATE FUNCTION follow_up_refusal(f follow_ups) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    i instances;
BEGIN
    SELECT * INTO i FROM instances WHERE id = f.instance_id;
    IF NOT FOUND OR i.deleted_at IS NOT NULL OR i.disabled THEN
        RETURN 'instance';
    ELSIF jsonb_typeof(i.settings -> 'agent') IS DISTINCT FROM 'object'
       AND NOT EXISTS (SELECT FROM turns t JOIN agents a ON a.id::text = t.agent WHERE t.id = f.turn_id AND a.deleted_at IS NULL)
       OR NOT EXISTS (SELECT FROM jsonb_array_elements(coalesce(i.settings #> '{messaging,followUps}', '[]')) AS x(spec)
                      WHERE (x.spec ->> 'afterSeconds')::int = f.after_seconds) THEN
        RETURN 'settings';
    ELSIF EXISTS (SELECT FROM chats WHERE id = f.chat_id AND paused AND (paused_until IS NULL OR paused_until > clock_timestamp())) THEN
        RETURN 'takeover';
    ELSIF EXISTS (SELECT FROM messages m
                  WHERE m.chat_id = f.chat_id AND m.direction = 'inbound' AND m.kind IN ('message', 'reaction')
                    AND m.created_at > f.since - interval '1 day' AND (m.created_at > f.since OR m.seq > f.since_seq)
                    AND m.turn_id IS DISTINCT FROM f.turn_id
                    -- What a platform tells of the past is no sign of life.
                    AND NOT (coalesce((m.facts ->> 'backfill')::boolean, false) AND m.sent_at < f.since)) THEN
        RETURN 'message';
    ELSIF EXISTS (SELECT FROM messages m
                  WHERE m.chat_id = f.chat_id AND m.direction = 'outbound' AND m.from_me AND m.created_at > f.created_at
                    -- Not the echo of what we sent, should it have been quicker than the receipt.
                    AND NOT EXISTS (SELECT FROM messages o WHERE o.instance_id = m.instance_id AND o.direction = 'outbound'
                                      AND o.external_id = m.external_id AND o.external_id <> '' AND NOT o.from_me)) THEN
        RETURN 'own_message';
    ELSIF EXISTS (SELECT FROM messages m
                  WHERE m.chat_id = f.chat_id AND m.created_at > f.created_at AND m.direction = 'outbound' AND NOT m.from_me
                    AND m.turn_id IS NULL AND m.status NOT IN ('scheduled', 'cancelled', 'failed', 'expired'))
       OR EXISTS (SELECT FROM messages m
                  WHERE m.chat_id = f.chat_id AND m.send_at > f.created_at
                    AND m.status NOT IN ('scheduled', 'cancelled', 'failed', 'expired')) THEN
        RETURN 'api_message';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- followup.Claim: a follow-up that is due becomes a turn that is answering,
-- held by its workflow; or it is cancelled. States: closed wait behind
-- cancelled, and what turn_seen says of a turn that exists.
-- +goose StatementBegin
CREATE FUNCTION follow_up_claim(p_chat uuid, p_turn uuid, p_n int, p_own_turn uuid, p_workflow text, p_provider text,
    p_answer_within interval, p_started timestamptz, p_attempt int) RETURNS turn_view LANGUAGE plpgsql AS $$
DECLARE
    v    turn_view;
    f    follow_ups;
    t    turns;
    old  turns;
    spec jsonb;
    ttl  interval;
    now_ timestamptz;
BEGIN
    PERFORM FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    SELECT * INTO f FROM follow_ups WHERE turn_id = p_turn AND n = p_n;
    now_ := clock_timestamp();
    IF f.own_turn IS NOT NULL THEN
        SELECT * INTO STRICT t FROM turns WHERE id = f.own_turn;
        RETURN turn_seen(t, t.leader, p_workflow);
    END IF;
    v.state := 'cancelled'; v.outcome := 'cancelled';
    IF f.state IS DISTINCT FROM 'scheduled' THEN
        RETURN v;
    ELSIF f.due_at > now_ THEN -- its workflow was woken before its time
        v.state := 'wait'; v.outcome := NULL; v.wait_ms := ceil(extract(epoch FROM f.due_at - now_) * 1000)::int;
        RETURN v;
    END IF;
    SELECT x.spec, make_interval(secs => coalesce((i.settings #>> '{messaging,replyTtlSeconds}')::int, 86400)) INTO spec, ttl
    FROM instances i, jsonb_array_elements(coalesce(i.settings #> '{messaging,followUps}', '[]')) AS x(spec)
    WHERE i.id = f.instance_id AND (x.spec ->> 'afterSeconds')::int = f.after_seconds LIMIT 1;
    f.reason := coalesce(follow_up_refusal(f), CASE WHEN f.due_at + ttl < now_ THEN 'expired' END, '');
    IF f.reason <> '' THEN
        UPDATE follow_ups SET state = 'cancelled', reason = f.reason, ended_at = now_ WHERE turn_id = p_turn AND n = p_n;
        PERFORM follow_up_say(f, 'followup.cancelled');
        RETURN v;
    END IF;
    IF EXISTS (SELECT FROM turns WHERE chat_id = p_chat AND state = 'answering') THEN -- another follow-up goes out just now
        v.state := 'behind'; v.outcome := NULL;
        RETURN v;
    END IF;
    SELECT * INTO STRICT old FROM turns WHERE id = p_turn;
    INSERT INTO turns (id, tenant_id, instance_id, channel, chat_id, session_key, agent, state, leader, workflow_id, due_at, first_at,
                       last_at, last_seq, quiet_at, closed_at, answer, follows)
    VALUES (p_own_turn, f.tenant_id, f.instance_id, f.channel, p_chat, old.session_key, old.agent, 'answering', f.leader, p_workflow,
            now_ + p_answer_within, now_, now_, f.since_seq, now_, now_, nullif(spec ->> 'text', ''), p_turn)
    RETURNING * INTO t;
    f.prompt := coalesce(spec ->> 'agentPrompt', '');
    UPDATE follow_ups SET state = 'sending', own_turn = t.id, prompt = f.prompt WHERE turn_id = p_turn AND n = p_n;
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, correlation_id, data)
    SELECT uuid_v7(), t.tenant_id, e.type, t.id::text, t.instance_id, t.channel, t.chat_id, t.leader, e.data
    FROM (VALUES
        (1, 'turn.started', jsonb_build_object('turnId', t.id, 'chatId', t.chat_id, 'instanceId', t.instance_id, 'leader', t.leader,
            'epoch', t.epoch, 'messageIds', '[]'::jsonb, 'follows', t.follows) || step_data('followup.Claim', p_started, p_attempt)),
        (2, 'agent.request', jsonb_build_object('turnId', t.id, 'chatId', t.chat_id, 'instanceId', t.instance_id,
            'messageId', t.leader, 'provider', p_provider, 'messages', 1, 'sessionKey', t.session_key, 'follows', t.follows)
            || CASE t.agent WHEN 'instance' THEN '{}' ELSE jsonb_build_object('agentId', t.agent) END)
    ) AS e(n, type, data)
    WHERE e.n = 1 OR t.answer IS NULL
    ORDER BY e.n;
    RETURN turn_seen(t, t.leader, p_workflow);
END $$;
-- +goose StatementEnd

-- What the agent is asked in the turn of a follow-up: the operator's prompt,
-- in the place of a message.
-- +goose StatementBegin
CREATE FUNCTION follow_up_batch(p_turn uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce((SELECT jsonb_build_array(jsonb_build_object('id', own_turn, 'text', prompt,
                                'content', jsonb_build_object('type', 'text', 'text', prompt), 'senderName', '', 'senderId', '',
                                'personId', NULL, 'externalId', '', 'seq', since_seq, 'sentAt', due_at, 'facts', '{}'::jsonb))
                     FROM follow_ups WHERE own_turn = p_turn AND prompt <> ''), '[]');
END $$;
-- +goose StatementEnd

-- The turn of a follow-up has its outcome. The chat is locked.
-- +goose StatementBegin
CREATE FUNCTION follow_up_ended(t turns, p_outcome text, p_error text, p_step text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    f     follow_ups;
    heard boolean := p_outcome = 'answered' OR EXISTS (SELECT FROM messages WHERE turn_id = t.id AND direction = 'outbound'
                                                       AND status IN ('sent', 'delivered', 'read'));
BEGIN
    UPDATE follow_ups SET state = CASE WHEN heard THEN 'sent' ELSE 'cancelled' END, ended_at = clock_timestamp(),
        reason = CASE WHEN heard THEN '' WHEN p_step = 'chat.takeover' THEN 'takeover' WHEN p_outcome = 'interrupted' THEN 'message'
                      WHEN p_outcome = 'cancelled' AND p_error <> '' THEN p_error ELSE p_outcome END
    WHERE own_turn = t.id AND state = 'sending'
    RETURNING * INTO f;
    IF FOUND THEN
        PERFORM follow_up_say(f, CASE WHEN heard THEN 'followup.sent' ELSE 'followup.cancelled' END);
    END IF;
END $$;
-- +goose StatementEnd

-- Ends the turn of a follow-up that must not go out any more, before its first
-- part leaves. The chat is locked.
-- +goose StatementBegin
CREATE FUNCTION follow_up_withdrawn(t turns, p_step text, p_started timestamptz, p_attempt int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    f   follow_ups;
    why text;
BEGIN
    SELECT * INTO STRICT f FROM follow_ups WHERE own_turn = t.id;
    why := follow_up_refusal(f);
    IF why IS NULL THEN
        RETURN false;
    END IF;
    PERFORM turn_finish_locked(t, 'cancelled', why, p_step, p_started, p_attempt);
    RETURN true;
END $$;
-- +goose StatementEnd

-- A follow-up that nothing has left of gives way to a turn that messages lead:
-- nobody waits for what must not be sent. The chat is locked.
-- +goose StatementBegin
CREATE FUNCTION follow_up_gives_way(t turns, p_step text, p_started timestamptz, p_attempt int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF t.follows IS NULL OR EXISTS (SELECT FROM messages WHERE turn_id = t.id AND direction = 'outbound' AND status <> 'queued') THEN
        RETURN false;
    END IF;
    UPDATE turns SET epoch = epoch + 1 WHERE id = t.id;
    PERFORM turn_finish_locked(t, 'cancelled', 'message', p_step, p_started, p_attempt);
    RETURN true;
END $$;
-- +goose StatementEnd

-- Cancels one follow-up that waits. False: it does not.
-- +goose StatementBegin
CREATE FUNCTION follow_up_drop(p_chat uuid, p_turn uuid, p_n int, p_reason text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    f follow_ups;
BEGIN
    PERFORM FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    UPDATE follow_ups SET state = 'cancelled', reason = p_reason, ended_at = clock_timestamp()
    WHERE turn_id = p_turn AND n = p_n AND state = 'scheduled' RETURNING * INTO f;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM follow_up_say(f, 'followup.cancelled');
    RETURN true;
END $$;
-- +goose StatementEnd

-- The name of an agent session, which a reset gives another one. Sessions of a
-- chat begin anew with the chat's reset, those of a person with the person's.
-- +goose StatementBegin
CREATE FUNCTION session_now(p_session text, c chats) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    epoch int := c.session_epoch;
BEGIN
    IF starts_with(p_session, 'person:') THEN
        epoch := coalesce((SELECT session_epoch FROM persons WHERE id = substr(p_session, 8)::uuid), 0);
    END IF;
    RETURN p_session || CASE WHEN epoch > 0 THEN '#' || epoch ELSE '' END;
END $$;
-- +goose StatementEnd

-- Begins the agent's session anew, in a chat and for a person (of a dm: the one
-- it is with). Returns the chat's new epoch; NULL where there is no such chat.
-- +goose StatementBegin
CREATE FUNCTION chat_reset(p_chat uuid, p_person uuid, p_by text, p_message uuid) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    c chats;
BEGIN
    UPDATE chats SET session_epoch = session_epoch + 1, session_started_at = clock_timestamp(), updated_at = clock_timestamp()
    WHERE id = p_chat RETURNING * INTO c;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    p_person := coalesce(p_person, c.person_id);
    UPDATE persons SET session_epoch = session_epoch + 1, updated_at = clock_timestamp() WHERE id = p_person;
    PERFORM follow_ups_cancel(p_chat, 'reset');
    INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id, data)
    VALUES (uuid_v7(), c.tenant_id, 'chat.reset', c.id::text, c.instance_id, c.channel, c.id, p_person, p_message,
            jsonb_strip_nulls(jsonb_build_object('chatId', c.id, 'instanceId', c.instance_id, 'personId', p_person,
                'sessionEpoch', c.session_epoch, 'by', p_by, 'messageId', p_message)));
    RETURN c.session_epoch;
END $$;
-- +goose StatementEnd

-- turn.Join of a message that is the instance's reset emoji: it resets, once,
-- and is not answered.
-- +goose StatementBegin
CREATE FUNCTION message_reset(p_chat uuid, p_message uuid, p_workflow text, p_reason text) RETURNS turn_view LANGUAGE plpgsql AS $$
DECLARE
    v turn_view;
    m messages;
    t turns;
BEGIN
    PERFORM FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    SELECT * INTO STRICT m FROM messages WHERE id = p_message;
    IF m.turn_id IS NOT NULL THEN -- it joined before it was told to reset
        SELECT * INTO STRICT t FROM turns WHERE id = m.turn_id;
        RETURN turn_seen(t, p_message, p_workflow);
    ELSIF m.status NOT IN ('received', 'processing') THEN
        v.state := CASE m.status WHEN 'paused' THEN 'paused' WHEN 'ignored' THEN 'ignored' ELSE 'finished' END;
        v.outcome := m.status;
        RETURN v;
    END IF;
    UPDATE messages SET status = 'ignored', status_reason = p_reason, updated_at = clock_timestamp() WHERE id = p_message;
    IF m.deleted_at IS NULL THEN
        PERFORM chat_reset(p_chat, m.person_id, 'emoji', p_message);
    END IF;
    v.state := 'ignored'; v.outcome := 'ignored';
    RETURN v;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION message_reset(uuid, uuid, text, text), chat_reset(uuid, uuid, text, uuid), session_now(text, chats),
    follow_up_drop(uuid, uuid, int, text), follow_up_gives_way(turns, text, timestamptz, int), follow_up_withdrawn(turns, text, timestamptz, int),
    follow_up_ended(turns, text, text, text), follow_up_batch(uuid),
    follow_up_claim(uuid, uuid, int, uuid, text, text, interval, timestamptz, int), follow_up_refusal(follow_ups),
    follow_ups_schedule(turns), follow_ups_cancel(uuid, text), follow_up_say(follow_ups, text);
DROP INDEX messages_send_at;
DROP TABLE follow_ups;
