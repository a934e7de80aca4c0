// Package secret seals what must not be readable in the database: bot tokens,
// signing secrets, API keys of agents. AES-256-GCM, bound to the instance it
// belongs to, in an envelope that names its version and key.
package secret
