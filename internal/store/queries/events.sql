-- name: AppendEvent :exec
INSERT INTO events (id, tenant_id, type, subject, instance_id, channel, chat_id, person_id, correlation_id,
                    causation_id, traceparent, data)
VALUES (uuid_v7(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);
