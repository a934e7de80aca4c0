-- +goose Up

-- Agents by themselves, and which chats of which instances they answer.

CREATE TABLE agents (
    id         uuid PRIMARY KEY,
    tenant_id  text NOT NULL,
    name       text NOT NULL,
    config     jsonb NOT NULL,                     -- omni.AgentConfig
    secrets    bytea,                              -- AES-256-GCM over the key
    version    bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE INDEX agents_tenant ON agents (tenant_id, created_at DESC, id DESC);

-- Configuration, changed by people: the row of its agent is locked (FOR SHARE)
-- while a route is made, so that none is left of an agent that is deleted.
CREATE TABLE agent_routes (
    id          uuid PRIMARY KEY,
    tenant_id   text NOT NULL,
    instance_id uuid NOT NULL,
    agent_id    uuid NOT NULL REFERENCES agents (id),
    chat_id     uuid,
    person_id   uuid,
    chat_type   text,
    priority    int NOT NULL DEFAULT 0,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(chat_id, person_id, chat_type) = 1)
);
CREATE INDEX agent_routes_instance ON agent_routes (instance_id);
CREATE INDEX agent_routes_agent ON agent_routes (agent_id);
CREATE INDEX agent_routes_person ON agent_routes (person_id) WHERE person_id IS NOT NULL;
CREATE INDEX instances_agent ON instances ((settings ->> 'agentId')) WHERE deleted_at IS NULL AND settings ? 'agentId';

-- How an agent did of late.
CREATE INDEX turns_agent ON turns (agent, created_at DESC) WHERE agent <> 'instance';

-- What an agent wants done beside what it says. It is decided in the
-- transaction that stores its answer, and carried out in the one that ends the
-- turn, once everything of it has gone out: neither happens twice.
ALTER TABLE turns
    ADD COLUMN actions jsonb, -- omni.AgentAction's; NULL: nothing but an answer
    ADD COLUMN gate    jsonb; -- omni.GateDecision: whether the agent is asked at all

-- Keeps what is wanted beside an answer that has just been stored. Its last
-- parts are reactions to p_targets, messages of the turn. The chat is locked.
-- +goose StatementBegin
CREATE FUNCTION turn_wants(p_chat uuid, p_turn uuid, p_actions jsonb, p_gate jsonb, p_targets uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE turns SET actions = p_actions, gate = coalesce(p_gate, gate) WHERE id = p_turn;
    UPDATE messages m SET kind = 'reaction', reply_to = o.id, reply_to_external = o.external_id
    FROM unnest(p_targets) WITH ORDINALITY AS x(id, n) JOIN messages o ON o.id = x.id
    WHERE m.turn_id = p_turn AND m.direction = 'outbound' AND m.part_index = m.part_count - cardinality(p_targets) + x.n - 1 AND o.chat_id = p_chat;
END $$;
-- +goose StatementEnd

-- turn_answer with actions, and with what a gate decided.
-- +goose StatementBegin
CREATE FUNCTION turn_answer_acting(p_chat uuid, p_turn uuid, p_workflow text, p_epoch int, p_answer text, p_parts jsonb,
    p_part_ids uuid[], p_agent_ms int, p_data jsonb, p_deliver_within interval, p_started timestamptz, p_attempt int,
    p_actions jsonb, p_gate jsonb, p_targets uuid[], OUT state text, OUT parts int) LANGUAGE plpgsql AS $$
DECLARE
    fresh boolean;
BEGIN
    PERFORM FROM chats WHERE id = p_chat FOR NO KEY UPDATE;
    fresh := (SELECT part_count IS NULL FROM turns WHERE id = p_turn);
    SELECT a.state, a.parts INTO state, parts
    FROM turn_answer(p_chat, p_turn, p_workflow, p_epoch, p_answer, p_parts, p_part_ids, p_agent_ms, p_data, p_deliver_within,
        p_started, p_attempt) a;
    IF state <> 'closed' OR NOT fresh THEN -- the first stored answer stands, with what it asked for
        RETURN;
    END IF;
    PERFORM turn_wants(p_chat, p_turn, p_actions, p_gate, p_targets);
END $$;
-- +goose StatementEnd

-- turn_reply with actions.
-- +goose StatementBegin
CREATE FUNCTION turn_reply_acting(p_tenant text, p_turn uuid, p_answer text, p_parts jsonb, p_part_ids uuid[], p_hash bytea, p_data jsonb,
    p_deliver_within interval, p_actions jsonb, p_targets uuid[], OUT state text, OUT parts int, OUT workflow text) LANGUAGE plpgsql AS $$
BEGIN
    SELECT r.state, r.parts, r.workflow INTO state, parts, workflow
    FROM turn_reply(p_tenant, p_turn, p_answer, p_parts, p_part_ids, p_hash, p_data, p_deliver_within) r;
    IF state = 'accepted' THEN
        PERFORM turn_wants((SELECT chat_id FROM turns WHERE id = p_turn), p_turn, p_actions, NULL, p_targets);
    END IF;
END $$;
-- +goose StatementEnd

-- Why a turn ends without a word.
-- +goose StatementBegin
CREATE FUNCTION turn_silence(t turns) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE WHEN t.gate ->> 'answer' = 'false' THEN 'gated'
                WHEN jsonb_path_exists(t.actions, '$[*] ? (@.type == "no_reply" && !exists (@.problem))') THEN 'no_reply'
                ELSE 'nothing' END;
END $$;
-- +goose StatementEnd

-- Whether nothing is to follow of a conversation by itself.
-- +goose StatementBegin
CREATE FUNCTION turn_ends_it(t turns) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN t.actions IS NOT NULL
        AND jsonb_path_exists(t.actions, '$[*] ? ((@.type == "handoff" || @.type == "close") && !exists (@.problem))');
END $$;
-- +goose StatementEnd

-- Carries out what is left of a turn that has just been answered. The chat is
-- locked, and the turn has its outcome.
-- +goose StatementBegin
CREATE FUNCTION turn_act(t turns) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    a jsonb;
BEGIN
    FOR a IN SELECT x.a FROM jsonb_array_elements(t.actions) AS x(a) WHERE NOT x.a ? 'problem' LOOP
        IF a ->> 'type' = 'handoff' THEN
            PERFORM chat_takeover(t.chat_id, CASE WHEN (a ->> 'untilSeconds')::int > 0
                    THEN clock_timestamp() + make_interval(secs => (a ->> 'untilSeconds')::int) END,
                coalesce(nullif(a ->> 'reason', ''), 'handed over by the agent'), 'agent', t.leader);
        ELSIF a ->> 'type' = 'close' THEN
            PERFORM chat_reset(t.chat_id, (SELECT person_id FROM messages WHERE id = t.leader), 'agent', t.leader);
        END IF;
    END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION turn_act(turns), turn_ends_it(turns), turn_silence(turns), turn_wants(uuid, uuid, jsonb, jsonb, uuid[]),
    turn_reply_acting(text, uuid, text, jsonb, uuid[], bytea, jsonb, interval, jsonb, uuid[]),
    turn_answer_acting(uuid, uuid, text, int, text, jsonb, uuid[], int, jsonb, interval, timestamptz, int, jsonb, jsonb, uuid[]);
ALTER TABLE turns DROP COLUMN actions, DROP COLUMN gate;
DROP INDEX turns_agent, instances_agent;
DROP TABLE agent_routes, agents;
