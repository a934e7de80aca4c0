// Package workers is the processes: the roles a hub may play (gateway, ingest,
// pipeline, media, agent, delivery, relay), each a service that starts and
// stops. One process may play all of them.
package workers
