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

-- +goose Down
DROP INDEX turns_agent, instances_agent;
DROP TABLE agent_routes, agents;
